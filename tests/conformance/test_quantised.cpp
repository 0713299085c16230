// Quantised weights and caches on the bundled model: as close to float32 as each type allows, along a fixed path of codes.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "backends/registry.h"
#include "csm/error.h"
#include "engine/loader.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

constexpr int kFrames = 12;

struct LogitsRecorder final : LogitsTap {
  std::vector<float> logits;
  void on_logits(int, std::span<const float> row) override { logits.insert(logits.end(), row.begin(), row.end()); }
  void on_hidden(std::span<const float>) override {}
};

// Mean KL divergence of rows of logits.
double divergence(const std::vector<float>& reference, const std::vector<float>& other, size_t vocab) {
  double total = 0;
  for (size_t start = 0; start < reference.size(); start += vocab) {
    double sum_p = 0;
    double sum_q = 0;
    for (size_t i = start; i < start + vocab; ++i) {
      sum_p += std::exp(double{reference[i]});
      sum_q += std::exp(double{other.at(i)});
    }
    for (size_t i = start; i < start + vocab; ++i) {
      const double log_p = reference[i] - std::log(sum_p);
      const double log_q = other[i] - std::log(sum_q);
      total += std::exp(log_p) * (log_p - log_q);
    }
  }
  return total / (static_cast<double>(reference.size()) / static_cast<double>(vocab));
}

class QuantisedModel : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = make_backend(GetParam());
    checkpoint_ = load_checkpoint(find_model_files(CSM_MODELS_DIR "/demo"));
    options_.n_threads = 1;
    reference_ = path(true);
  }

  // Logits along the model's own greedy path in float32.
  std::vector<float> path(bool find_codes) {
    const ModelSpec& spec = checkpoint_->spec();
    const auto n_codebooks = static_cast<size_t>(spec.n_codebooks);
    const auto model = backend_->load_language_model(checkpoint_, options_);
    const auto sequence = model->new_sequence(128);
    std::vector<int32_t> ids;
    std::vector<uint8_t> mask;
    for (int32_t token = 40; token < 60; ++token) {
      ids.insert(ids.end(), n_codebooks, 0);
      mask.insert(mask.end(), n_codebooks, 0);
      ids.push_back(token);
      mask.push_back(1);
    }
    model->append(*sequence, {ids, mask, spec.n_codebooks + 1});
    FrameSampling greedy;
    greedy.backbone.temperature = greedy.depth.temperature = 0;
    LogitsRecorder tap;
    std::vector<int32_t> row(n_codebooks + 1, 0);
    std::vector<uint8_t> row_mask(n_codebooks + 1, 1);
    row_mask.back() = 0;
    for (size_t frame = 0; frame < kFrames; ++frame) {
      FrameRequest request;
      request.sequence = sequence.get();
      request.sampling = &greedy;
      request.tap = &tap;
      request.out = std::span(row).first(n_codebooks);
      if (!find_codes) request.forced = std::span(codes_).subspan(frame * n_codebooks, n_codebooks);
      model->next_frames({&request, 1});
      if (find_codes) codes_.insert(codes_.end(), row.begin(), row.end() - 1);
      model->append(*sequence, {row, row_mask, spec.n_codebooks + 1});
    }
    return tap.logits;
  }
  double divergence_of_path() { return divergence(reference_, path(false), static_cast<size_t>(checkpoint_->spec().audio_vocab)); }

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  BackendOptions options_;
  std::vector<int32_t> codes_;
  std::vector<float> reference_;
};

TEST_P(QuantisedModel, EachTypeIsAsCloseAsItsBitsAllow) {
  EXPECT_LE(divergence_of_path(), 1e-9) << "the same type again";
  // Ordered from fine to coarse; limits about three times what was measured.
  const std::pair<WeightType, double> types[] = {{WeightType::kF16, 2e-6},  {WeightType::kBF16, 1e-4},   {WeightType::kQ8_0, 1e-3},
                                                 {WeightType::kQ6_K, 5e-3}, {WeightType::kQ5_K, 1.5e-2}, {WeightType::kQ4_K, 6e-2},
                                                 {WeightType::kQ4_0, 8e-2}};
  for (const auto& [type, limit] : types) {
    options_.backbone_type = options_.depth_type = type;
    const double found = divergence_of_path();
    RecordProperty("type_" + std::to_string(static_cast<int>(type)), std::to_string(found));
    EXPECT_LE(found, limit) << "type " << static_cast<int>(type);
  }
}

TEST_P(QuantisedModel, PartsAreQuantisedSeparately) {
  options_.backbone_type = WeightType::kQ4_0;
  const double backbone = divergence_of_path();
  options_.backbone_type = WeightType::kF32;
  options_.depth_type = WeightType::kQ4_0;
  const double depth = divergence_of_path();
  options_.backbone_type = WeightType::kQ4_0;
  const double both = divergence_of_path();
  EXPECT_GT(backbone, 1e-5);
  EXPECT_GT(depth, 1e-5);
  EXPECT_GT(both, std::min(backbone, depth));
  EXPECT_NE(backbone, depth);
}

TEST_P(QuantisedModel, QuantisedCacheIsClose) {
  options_.kv_type = KvType::kF16;
  EXPECT_LE(divergence_of_path(), 1e-5);
  options_.kv_type = KvType::kQ8_0;
  double found = 0;
  try {
    found = divergence_of_path();
  } catch (const Error& error) {  // a backend may lack it, and says so
    ASSERT_EQ(error.code(), ErrorCode::kUnsupported);
    GTEST_SKIP() << error.what();
  }
  EXPECT_LE(found, 1e-3);
  EXPECT_GT(found, 0);
}

INSTANTIATE_TEST_SUITE_P(All, QuantisedModel, ::testing::ValuesIn(backend_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace csm::test
