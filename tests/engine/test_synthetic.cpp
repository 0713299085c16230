// Checkpoints that are made up in memory: true shapes, sane numbers, and memory that comes and goes.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include <csm/error.h>

#include "backends/registry.h"
#include "engine/synthetic.h"
#include "model/manifest.h"

namespace csm {
namespace {

std::vector<float> values_of(const TensorInfo& tensor) {
  const TensorBytes bytes = tensor.fetch();
  EXPECT_EQ(bytes.data.size(), tensor.n_bytes());
  std::vector<float> values(static_cast<size_t>(tensor.n_elements()));
  widen_to_f32(tensor.type, bytes.data.data(), values.size(), values.data());
  return values;
}

double mean_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation_of(const std::vector<float>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const float value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

std::map<ModelPart, int64_t> count_by_part(const Checkpoint& checkpoint) {
  std::map<ModelPart, int64_t> counts;
  for (const ManifestEntry& entry : manifest(checkpoint.spec()))
    counts[entry.part] += checkpoint.tensor(entry.name).n_elements();
  return counts;
}

// The counts of the model specification, sections 1.8 and 4.1, and of the performance notes, section 2.
TEST(Synthetic, Csm1bHasTheTrueShapes) {
  const auto checkpoint = make_synthetic_checkpoint("csm-1b", DType::kF16);
  const ModelSpec& spec = checkpoint->spec();
  EXPECT_EQ(spec.backbone.n_layers, 16);
  EXPECT_EQ(spec.depth.n_layers, 4);
  EXPECT_EQ(spec.n_codebooks, 32);
  EXPECT_EQ(spec.audio_vocab, 2051);
  EXPECT_EQ(spec.codec.frame_samples(), 1920);
  std::map<ModelPart, int64_t> counts = count_by_part(*checkpoint);
  EXPECT_EQ(counts[ModelPart::kText], int64_t{128256} * 2048);
  EXPECT_EQ(counts[ModelPart::kAudio], int64_t{32} * 2051 * 2048);
  constexpr int64_t kBackboneNorms = 33 * 2048;
  EXPECT_EQ(counts[ModelPart::kBackbone], 973'078'528 + kBackboneNorms + 2051 * 2048);
  constexpr int64_t kDepthNorms = 9 * 1024;
  EXPECT_EQ(counts[ModelPart::kDepth], 111'149'056 + kDepthNorms + 65'106'944 + 2'097'152);
  EXPECT_EQ(counts[ModelPart::kCodec], 96'151'393 - 32);  // each codebook of the file has a flag besides
}

TEST(Synthetic, LanguageModelIsStoredAsAskedForAndTheRestInF32) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto checkpoint = make_synthetic_checkpoint("tiny", type);
    for (const ManifestEntry& entry : manifest(checkpoint->spec())) {
      const bool plain = entry.part == ModelPart::kCodec || entry.use == TensorUse::kVector;
      EXPECT_EQ(checkpoint->tensor(entry.name).type, plain ? DType::kF32 : type) << entry.name;
      EXPECT_EQ(checkpoint->tensor(entry.name).shape, entry.shape) << entry.name;
    }
  }
}

TEST(Synthetic, EveryValueIsFiniteAndNormal) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto checkpoint = make_synthetic_checkpoint("tiny", type);
    for (const std::string& name : checkpoint->names()) {
      const std::vector<float> values = values_of(checkpoint->tensor(name));
      const bool sane = std::all_of(values.begin(), values.end(), [](float value) {
        return std::isfinite(value) && std::fabs(value) >= 6.1e-5f && std::fabs(value) < 8;
      });
      EXPECT_TRUE(sane) << name << " as " << to_string(type);
    }
  }
}

TEST(Synthetic, ScalesKeepActivationsNearUnitSize) {
  const auto checkpoint = make_synthetic_checkpoint("csm-1b", DType::kF16);
  const auto expect = [&](const std::string& name, double mean, double deviation) {
    const std::vector<float> values = values_of(checkpoint->tensor(name));
    EXPECT_NEAR(mean_of(values), mean, 0.02 * deviation + 0.01) << name;
    EXPECT_NEAR(deviation_of(values), deviation, 0.1 * deviation) << name;
  };
  expect("backbone_model.layers.3.self_attn.k_proj.weight", 0, 1 / std::sqrt(2048.0));
  expect("depth_decoder.model.layers.0.self_attn.v_proj.weight", 0, 1 / std::sqrt(1024.0));
  expect("backbone_model.norm.weight", 1, 0.05);
  expect("decoder.layers.8.conv.weight", 0, 1 / std::sqrt(256.0 * 2));  // two taps of each channel meet
  expect("decoder.layers.6.block.1.conv.weight", 0, 1 / std::sqrt(256.0 * 3));
  expect("encoder.layers.3.conv.weight", 0, 1 / std::sqrt(64.0 * 8));
  expect("decoder_transformer.layers.7.self_attn.q_proj.weight", 0, 1 / std::sqrt(512.0));
}

TEST(Synthetic, UsageCountsOfCodebooksArePositive) {
  const auto checkpoint = make_synthetic_checkpoint("tiny", DType::kF32);
  int n_found = 0;
  for (const std::string& name : checkpoint->names()) {
    if (name.find("cluster_usage") == std::string::npos) continue;
    ++n_found;
    const std::vector<float> values = values_of(checkpoint->tensor(name));
    EXPECT_GT(*std::min_element(values.begin(), values.end()), 0.5f) << name;
  }
  EXPECT_EQ(n_found, checkpoint->spec().codec.n_codebooks);
}

TEST(Synthetic, ValuesDependOnTheNameAlone) {
  const auto first = make_synthetic_checkpoint("tiny", DType::kF32);
  const auto second = make_synthetic_checkpoint("tiny", DType::kF32);
  std::set<std::vector<float>> different;
  for (const std::string& name : first->names()) {
    const std::vector<float> values = values_of(first->tensor(name));
    EXPECT_EQ(values, values_of(second->tensor(name))) << name;
    EXPECT_TRUE(different.insert(values).second) << name;
  }
}

TEST(Synthetic, TypesAreRoundingsOfTheSameValues) {
  const std::string name = "backbone_model.layers.1.mlp.up_proj.weight";
  const std::vector<float> exact = values_of(make_synthetic_checkpoint("tiny", DType::kF32)->tensor(name));
  const std::vector<float> half = values_of(make_synthetic_checkpoint("tiny", DType::kF16)->tensor(name));
  ASSERT_EQ(exact.size(), half.size());
  for (size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(exact[i], half[i], std::fabs(exact[i]) * 1e-3f) << i;
}

TEST(Synthetic, ATensorIsSharedWhileSomebodyHoldsIt) {
  const auto checkpoint = make_synthetic_checkpoint("tiny", DType::kF16);
  const TensorBytes table = checkpoint->tensor(kBackboneAudioTable).fetch();
  const TensorBytes other = checkpoint->tensor("lm_head.weight").fetch();
  EXPECT_EQ(table.data.data(), checkpoint->tensor(kBackboneAudioTable).fetch().data.data());
  EXPECT_EQ(table.data.data(), checkpoint->tensor(kDepthAudioTable).fetch().data.data());  // tied
  EXPECT_NE(table.data.data(), other.data.data());
}

TEST(Synthetic, BytesOutliveTheCheckpoint) {
  auto checkpoint = make_synthetic_checkpoint("tiny", DType::kF16);
  const TensorBytes bytes = checkpoint->tensor("lm_head.weight").fetch();
  const std::vector<std::byte> copy(bytes.data.begin(), bytes.data.end());
  checkpoint.reset();
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), bytes.data.begin(), bytes.data.end()));
}

#ifdef __linux__
uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The peak memory of `csm bench` means something only if what was made for loading does not stay.
TEST(Synthetic, DroppedTensorsGoBackToTheSystem) {
  const auto checkpoint = make_synthetic_checkpoint("csm-1b", DType::kF16);
  const TensorInfo& large = checkpoint->tensor("backbone_model.layers.0.self_attn.q_proj.weight");
  const TensorInfo& small = checkpoint->tensor("backbone_model.norm.weight");
  small.fetch();
  const uint64_t before = resident_bytes();
  TensorBytes held = large.fetch();
  EXPECT_GT(resident_bytes(), before + large.n_bytes() * 9 / 10);
  held = {};
  small.fetch();
  EXPECT_LT(resident_bytes(), before + large.n_bytes() / 10);
}
#endif

TEST(Synthetic, UnknownShapesAreNamed) {
  try {
    make_synthetic_checkpoint("csm-2b", DType::kF16);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("csm-2b"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("csm-1b, tiny"), std::string::npos);
  }
}

class Logits final : public LogitsTap {
 public:
  void on_logits(int, std::span<const float> logits) override { all_.emplace_back(logits.begin(), logits.end()); }
  void on_hidden(std::span<const float>) override {}
  const std::vector<std::vector<float>>& all() const { return all_; }

 private:
  std::vector<std::vector<float>> all_;
};

// Made-up weights behave like a model: logits of unit size, different codes, sound that is neither silence nor an
// explosion.
TEST(Synthetic, AModelOfThemSpeaksNoise) {
  const auto checkpoint = make_synthetic_checkpoint("tiny", DType::kF32);
  const ModelSpec& spec = checkpoint->spec();
  BackendOptions options;
  options.n_threads = 1;
  const auto backend = make_backend("auto");
  const auto model = backend->load_language_model(checkpoint, options);
  const auto codec = backend->load_codec(checkpoint, options);
  const auto sequence = model->new_sequence(16);
  const auto decoder = codec->new_decoder();
  std::vector<int32_t> row = {1, 2, 3, 4, 0};
  const std::vector<uint8_t> mask = {1, 1, 1, 1, 0};
  const FrameSampling sampling;
  Logits tap;
  std::vector<float> samples;
  std::set<int32_t> codes;
  for (uint32_t i = 0; i < 8; ++i) {
    model->append(*sequence, {row, mask, 5});
    FrameRequest request;
    request.sequence = sequence.get();
    request.sampling = &sampling;
    request.noise = {7, 0, i};
    request.tap = &tap;
    request.out = std::span(row).first(4);
    model->next_frames({&request, 1});
    codes.insert(request.out.begin(), request.out.end());
    decoder->push(request.out, 4, samples);
  }
  ASSERT_EQ(tap.all().size(), 8u * 4);
  for (const std::vector<float>& logits : tap.all()) {
    EXPECT_GT(deviation_of(logits), 0.3);
    EXPECT_LT(deviation_of(logits), 3);
  }
  EXPECT_GT(codes.size(), 10u);
  EXPECT_EQ(samples.size(), 8u * static_cast<size_t>(spec.codec.frame_samples()));
  EXPECT_GT(deviation_of(samples), 0.01);
  EXPECT_LT(deviation_of(samples), 100);
}

}  // namespace
}  // namespace csm
