// Mimi against Hugging Face transformers, on every tiny checkpoint and every built-in backend.
// Tolerances: golden/README of the data set (10 to 40 times the difference between transformers' own variants).
#include <gtest/gtest.h>

#include <memory>
#include <tuple>

#include "backends/registry.h"
#include "engine/loader.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

constexpr float kStageTolerance = 1e-4f;
constexpr float kWaveTolerance = 5e-5f;
constexpr float kSureMargin = 1e-4f;

// Rows of all frames under each other; columns are channels.
struct StageRecorder final : StageTap {
  std::map<std::string, Array> stages;

  void on_stage(const std::string& name, std::span<const float> values, int rows, int columns) override {
    Array& stage = stages[name];
    if (stage.shape.empty()) stage.shape = {0, columns};
    stage.shape[0] += rows;
    stage.values.insert(stage.values.end(), values.begin(), values.end());
  }
};

// [a, b] -> [b, a]
Array transpose(const Array& in) {
  Array out{{in.dim(1), in.dim(0)}, std::vector<float>(in.values.size())};
  const auto rows = static_cast<size_t>(in.dim(0));
  const auto columns = static_cast<size_t>(in.dim(1));
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) out.values[c * rows + r] = in.values[r * columns + c];
  }
  return out;
}

// [levels, dim, frames] -> [frames * levels, dim], the order in which frames arrive.
Array by_frames(const Array& in) {
  const int64_t levels = in.dim(0);
  const int64_t dim = in.dim(1);
  const int64_t frames = in.dim(2);
  Array out{{frames * levels, dim}, {}};
  for (int64_t f = 0; f < frames; ++f) {
    for (int64_t l = 0; l < levels; ++l) {
      for (int64_t d = 0; d < dim; ++d)
        out.values.push_back(in.values[static_cast<size_t>((l * dim + d) * frames + f)]);
    }
  }
  return out;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

class MimiGolden : public ::testing::TestWithParam<std::tuple<std::string, GoldenModel>> {
 protected:
  void SetUp() override {
    backend_ = make_backend(std::get<0>(GetParam()));
    checkpoint_ = load_checkpoint(find_model_files(checkpoint_path(golden())));
    options_.n_threads = 1;
    encode_ = read_arrays(gold_path(golden(), "mimi_encode"));
    decode_ = read_arrays(gold_path(golden(), "mimi_decode"));
    clips_ = read_arrays(kData + "/audio/clips.safetensors");
  }

  const GoldenModel& golden() const { return std::get<1>(GetParam()); }
  std::unique_ptr<Codec> load() { return backend_->load_codec(checkpoint_, options_); }

  // Names before ".codes".
  static std::vector<std::string> cases(const Arrays& arrays) {
    std::vector<std::string> names;
    for (const auto& [name, array] : arrays) {
      if (ends_with(name, ".codes")) names.push_back(name.substr(0, name.size() - 6));
    }
    return names;
  }
  std::vector<float> clip(const std::string& name) const {
    std::vector<float> samples = clips_.at(name).values;
    for (float& sample : samples) sample /= 32768;
    return samples;
  }
  static std::vector<int32_t> encode(Codec& codec, std::span<const float> samples) {
    std::vector<int32_t> codes;
    const auto encoder = codec.new_encoder();
    encoder->push(samples, codes);
    encoder->finish(codes);
    return codes;
  }
  static std::vector<float> decode(Codec& codec, std::span<const int32_t> codes, int n_codebooks) {
    std::vector<float> samples;
    codec.new_decoder()->push(codes, n_codebooks, samples);
    return samples;
  }
  // The first n codebooks of golden codes [K, frames], as [frames, n].
  static std::vector<int32_t> frames_of(const Array& codes, int64_t n) {
    Array first{{n, codes.dim(1)}, {codes.values.begin(), codes.values.begin() + n * codes.dim(1)}};
    return transpose(first).as_int();
  }
  void expect_codes(const std::vector<int32_t>& codes, const std::string& name) const;
  void expect_stages(const StageRecorder& recorder, const Arrays& gold, const std::string& prefix) const;

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  BackendOptions options_;
  Arrays encode_;
  Arrays decode_;
  Arrays clips_;
};

// Codes are sure where the second nearest entry is further away; after an unsure acoustic code that differs, the rest
// of its frame follows another path.
void MimiGolden::expect_codes(const std::vector<int32_t>& codes, const std::string& name) const {
  const Array& gold = encode_.at(name + ".codes");
  const int64_t n_codebooks = gold.dim(0);
  const int64_t n_frames = gold.dim(1);
  ASSERT_EQ(static_cast<int64_t>(codes.size()), n_codebooks * n_frames) << name;
  int n_unsure = 0;
  for (int64_t f = 0; f < n_frames; ++f) {
    for (int64_t k = 0; k < n_codebooks; ++k) {
      const auto at = static_cast<size_t>(k * n_frames + f);
      if (codes[static_cast<size_t>(f * n_codebooks + k)] == static_cast<int32_t>(gold.values[at])) continue;
      ++n_unsure;
      EXPECT_LE(encode_.at(name + ".margin").values[at], kSureMargin) << name << " frame " << f << " codebook " << k;
      if (k > 0) break;
    }
  }
  EXPECT_LE(n_unsure, n_frames / 10) << name;
}

void MimiGolden::expect_stages(const StageRecorder& recorder, const Arrays& gold, const std::string& prefix) const {
  for (const auto& [full_name, array] : gold) {
    if (full_name.rfind(prefix, 0) != 0) continue;
    const std::string name = full_name.substr(prefix.size());
    const auto stage = recorder.stages.find(name);
    if (stage == recorder.stages.end()) {
      EXPECT_TRUE(ends_with(name, "codes") || ends_with(name, "margin") || ends_with(name, "wav") ||
                  ends_with(name, ".f64"))
          << full_name;
      continue;
    }
    const bool is_residual = ends_with(name, ".residual");
    const Array expected = is_residual                                     ? by_frames(array)
                           : name.find("transformer") == std::string::npos ? transpose(array)
                                                                           : array;
    EXPECT_EQ(stage->second.shape, expected.shape) << full_name;
    EXPECT_LE(max_difference(stage->second.values, expected.values), kStageTolerance) << full_name;
  }
}

TEST_P(MimiGolden, EncodesAsTransformers) {
  StageRecorder recorder;
  options_.stage_tap = &recorder;
  const auto codec = load();
  for (const std::string& name : cases(encode_)) {
    recorder.stages.clear();
    expect_codes(encode(*codec, clip(name)), name);
    expect_stages(recorder, encode_, name + ".");
  }
}

TEST_P(MimiGolden, DecodesAsTransformers) {
  StageRecorder recorder;
  options_.stage_tap = &recorder;
  const auto codec = load();
  for (const std::string& name : cases(decode_)) {
    recorder.stages.clear();
    const Array& codes = decode_.at(name + ".codes");
    const auto samples = decode(*codec, frames_of(codes, codes.dim(0)), static_cast<int>(codes.dim(0)));
    EXPECT_LE(max_difference(samples, decode_.at(name + ".wav").values), kWaveTolerance) << name;
    expect_stages(recorder, decode_, name + ".");
  }
}

TEST_P(MimiGolden, DecodesFromTheFirstCodebooks) {
  const auto codec = load();
  for (const auto& [name, wave] : decode_) {
    const size_t at = name.find(".nq");
    if (at == std::string::npos) continue;
    const int n = std::stoi(name.substr(at + 3));
    const auto samples = decode(*codec, frames_of(decode_.at(name.substr(0, at) + ".codes"), n), n);
    EXPECT_LE(max_difference(samples, wave.values), kWaveTolerance) << name;
  }
}

// The way of other programs, which `csm bench` compares with, decodes the same.
TEST_P(MimiGolden, NaivePathDecodesTheSame) {
  options_.path = ExecutionPath::kNaive;
  const auto codec = load();
  for (const std::string& name : cases(decode_)) {
    const Array& codes = decode_.at(name + ".codes");
    const auto samples = decode(*codec, frames_of(codes, codes.dim(0)), static_cast<int>(codes.dim(0)));
    EXPECT_LE(max_difference(samples, decode_.at(name + ".wav").values), kWaveTolerance) << name;
  }
}

// Half precision weights: measured 1.5e-3 at most, against 4e-7 to 1.5e-6 with full precision.
TEST_P(MimiGolden, HalfPrecisionIsClose) {
  options_.codec_type = WeightType::kF16;
  const auto codec = load();
  for (const std::string& name : cases(decode_)) {
    const Array& codes = decode_.at(name + ".codes");
    const auto samples = decode(*codec, frames_of(codes, codes.dim(0)), static_cast<int>(codes.dim(0)));
    EXPECT_LE(max_difference(samples, decode_.at(name + ".wav").values), 1e-2f) << name;
  }
  for (const std::string& name : cases(encode_)) {
    EXPECT_EQ(encode(*codec, clip(name)).size(), encode_.at(name + ".codes").values.size()) << name;
  }
}

constexpr GoldenModel kCodecs[] = {
    {"a", "csm-tiny-a", "csm-tiny-a"},
    {"b", "csm-tiny-b", "csm-tiny-b"},
    {"f_f32", "csm-tiny-f/hf-f32", "csm-tiny-f-f32"},
    {"f_original", "csm-tiny-f/original", "csm-tiny-f-f32"},
    {"mimi_c", "mimi-tiny-c", "mimi-tiny-c"},
    {"nano", "nano", "nano"},
};

INSTANTIATE_TEST_SUITE_P(Backends, MimiGolden,
                         ::testing::Combine(::testing::ValuesIn(backend_names()), ::testing::ValuesIn(kCodecs)),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param).name; });

}  // namespace
}  // namespace csm::test
