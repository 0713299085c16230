// Backbone and depth decoder against Hugging Face transformers, on every tiny checkpoint and every built-in backend.
// Tolerances: golden/README of the data set (10 to 40 times the difference between transformers' own variants).
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <tuple>

#include "backends/registry.h"
#include "engine/loader.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

constexpr float kHiddenTolerance = 1e-4f;
constexpr float kLogitsTolerance = 3e-4f;

struct Recorder final : LogitsTap, StageTap {
  std::vector<float> logits;
  std::vector<float> hidden;
  std::map<std::string, std::vector<float>> stages;

  void on_logits(int, std::span<const float> row) override { logits.insert(logits.end(), row.begin(), row.end()); }
  void on_hidden(std::span<const float> row) override { hidden.insert(hidden.end(), row.begin(), row.end()); }
  void on_stage(const std::string& name, std::span<const float> values, int, int) override {
    stages[name].insert(stages[name].end(), values.begin(), values.end());
  }
};

class LanguageModelGolden : public ::testing::TestWithParam<std::tuple<std::string, GoldenModel>> {
 protected:
  void SetUp() override {
    backend_ = make_backend(std::get<0>(GetParam()));
    checkpoint_ = load_checkpoint(find_model_files(checkpoint_path(golden())));
    options_.n_threads = 1;
  }

  const GoldenModel& golden() const { return std::get<1>(GetParam()); }
  const ModelSpec& spec() const { return checkpoint_->spec(); }
  std::vector<std::string> conversations(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kData + "/gold/" + golden().gold)) {
      const std::string name = entry.path().stem().string();
      if (name.rfind(prefix, 0) == 0) names.push_back(name.substr(prefix.size()));
    }
    EXPECT_FALSE(names.empty()) << prefix;
    return names;
  }
  std::unique_ptr<LanguageModel> load() { return backend_->load_language_model(checkpoint_, options_); }
  std::unique_ptr<Sequence> prompted(LanguageModel& model, const std::string& conversation) const {
    const Arrays prompt = read_arrays(gold_path(golden(), "prompt_" + conversation));
    const std::vector<int32_t> ids = prompt.at("frames").as_int();
    const std::vector<float>& wide = prompt.at("mask").values;
    const std::vector<uint8_t> mask(wide.begin(), wide.end());
    auto sequence = model.new_sequence(spec().max_positions);
    model.append(*sequence, {ids, mask, spec().n_codebooks + 1});
    return sequence;
  }
  void append_frame(LanguageModel& model, Sequence& sequence, std::span<const int32_t> codes) const {
    std::vector<int32_t> ids(codes.begin(), codes.end());
    std::vector<uint8_t> mask(ids.size(), 1);
    ids.push_back(0);
    mask.push_back(0);
    model.append(sequence, {ids, mask, spec().n_codebooks + 1});
  }

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  BackendOptions options_;
};

TEST_P(LanguageModelGolden, BackboneStages) {
  Recorder stages;
  options_.stage_tap = &stages;
  const auto model = load();
  for (const std::string& name : conversations("backbone_")) {
    const Arrays gold = read_arrays(gold_path(golden(), "backbone_" + name));
    stages.stages.clear();
    prompted(*model, name);
    for (const auto& [stage, values] : stages.stages) {
      EXPECT_LE(max_difference(values, gold.at(stage).values), kHiddenTolerance) << name << " " << stage;
    }
    EXPECT_EQ(stages.stages.size(), static_cast<size_t>(spec().backbone.n_layers) + 1) << name;
  }
}

TEST_P(LanguageModelGolden, DepthStages) {
  Recorder stages;
  options_.stage_tap = &stages;
  const auto model = load();
  for (const std::string& name : conversations("depth_")) {
    const Arrays gold = read_arrays(gold_path(golden(), "depth_" + name));
    const auto sequence = prompted(*model, name);
    const std::vector<int32_t> codes = gold.at("codes").as_int();
    std::vector<int32_t> out(codes.size());
    Recorder tap;
    stages.stages.clear();
    FrameRequest request;
    request.sequence = sequence.get();
    request.forced = codes;
    request.tap = &tap;
    request.out = out;
    model->next_frames({&request, 1});
    EXPECT_LE(max_difference(tap.hidden, gold.at("backbone_hidden").values), kHiddenTolerance) << name;
    const std::vector<float> depth_logits(tap.logits.begin() + spec().audio_vocab, tap.logits.end());
    EXPECT_LE(max_difference(depth_logits, gold.at("logits").values), kLogitsTolerance) << name;
    for (int layer = 1; layer <= spec().depth.n_layers; ++layer) {
      EXPECT_LE(max_difference(stages.stages["depth.hidden." + std::to_string(layer)], gold.at("hidden." + std::to_string(layer)).values),
                kHiddenTolerance) << name << " layer " << layer;
    }
  }
}

// Every n-th column of rows of width columns: how golden a keeps its logits.
std::vector<float> every(const std::vector<float>& rows, size_t width, size_t n) {
  std::vector<float> kept;
  for (size_t start = 0; start < rows.size(); start += width) {
    for (size_t i = 0; i < width; i += n) kept.push_back(rows[start + i]);
  }
  return kept;
}

void expect_logits(const std::vector<float>& logits, const Arrays& gold, size_t vocab, const std::string& name) {
  const auto full = gold.find("logits");
  if (full != gold.end()) {
    EXPECT_LE(max_difference(logits, full->second.values), kLogitsTolerance) << name;
  } else {
    EXPECT_LE(max_difference(every(logits, vocab, 64), gold.at("logits_stride64").values), kLogitsTolerance) << name;
  }
}

TEST_P(LanguageModelGolden, ForcedPath) {
  const auto model = load();
  for (const std::string& name : conversations("forced_")) {
    const Arrays gold = read_arrays(gold_path(golden(), "forced_" + name));
    const auto sequence = prompted(*model, name);
    const std::vector<int32_t> codes = gold.at("codes").as_int();
    const auto n_codebooks = static_cast<size_t>(spec().n_codebooks);
    Recorder tap;
    std::vector<int32_t> out(n_codebooks);
    for (size_t frame = 0; frame * n_codebooks < codes.size(); ++frame) {
      FrameRequest request;
      request.sequence = sequence.get();
      request.forced = std::span(codes).subspan(frame * n_codebooks, n_codebooks);
      request.tap = &tap;
      request.out = out;
      model->next_frames({&request, 1});
      append_frame(*model, *sequence, request.forced);
    }
    EXPECT_LE(max_difference(tap.hidden, gold.at("hidden").values), kHiddenTolerance) << name;
    expect_logits(tap.logits, gold, static_cast<size_t>(spec().audio_vocab), name);
  }
}

TEST_P(LanguageModelGolden, GreedyPath) {
  const auto model = load();
  FrameSampling greedy;
  greedy.backbone.temperature = 0;
  greedy.depth.temperature = 0;
  for (const std::string& name : conversations("greedy_")) {
    const Arrays gold = read_arrays(gold_path(golden(), "greedy_" + name));
    const auto sequence = prompted(*model, name);
    const std::vector<int32_t> codes = gold.at("codes").as_int();
    const auto n_codebooks = static_cast<size_t>(spec().n_codebooks);
    Recorder tap;
    std::vector<int32_t> path;
    std::vector<int32_t> out(n_codebooks);
    while (path.size() < codes.size()) {
      FrameRequest request;
      request.sequence = sequence.get();
      request.sampling = &greedy;
      request.tap = &tap;
      request.out = out;
      model->next_frames({&request, 1});
      append_frame(*model, *sequence, out);
      path.insert(path.end(), out.begin(), out.end());
    }
    EXPECT_EQ(path, codes) << name;
    expect_logits(tap.logits, gold, static_cast<size_t>(spec().audio_vocab), name);
  }
}

INSTANTIATE_TEST_SUITE_P(All, LanguageModelGolden,
                         ::testing::Combine(::testing::ValuesIn(backend_names()), ::testing::ValuesIn(kLanguageModels)),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param).name; });

}  // namespace
}  // namespace csm::test
