// inspect(): what it reports about good models, and that every malformed file of the set is refused with one line.
#include <csm/inspect.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "model_directory.h"

namespace csm::test {
namespace {

std::map<std::string, std::string> rows_of(const FileReport& report) {
  return {report.spec.begin(), report.spec.end()};
}

std::map<std::string, uint64_t> memory_of(const FileReport& report) {
  return {report.memory_estimates.begin(), report.memory_estimates.end()};
}

TEST(Inspect, ModelDirectory) {
  const FileReport report = inspect(std::string(CSM_MODELS_DIR) + "/demo");
  EXPECT_EQ(report.kind, "csm");
  EXPECT_EQ(report.layout, "transformers");
  EXPECT_TRUE(report.warnings.empty());
  auto rows = rows_of(report);
  EXPECT_EQ(rows["backbone.layers"], "6");
  EXPECT_EQ(rows["codebooks"], "8");
  EXPECT_EQ(rows["codec.frame_rate_hz"], "12.5");
  EXPECT_EQ(rows["sampling.depth"], "temperature 0.4, top_k 50");
  EXPECT_GT(report.n_parameters, 5'000'000u);
  EXPECT_GE(report.tensors.size(), 205u);
  auto memory = memory_of(report);
  EXPECT_GT(memory["f32"], memory["f16"]);
  EXPECT_GT(memory["f16"], memory["q8_0"]);
  EXPECT_GT(memory["q8_0"], memory["q4_0"]);
  EXPECT_GT(memory["f32"], 4 * report.n_parameters);  // and the KV cache
}

TEST(Inspect, OtherLayouts) {
  const FileReport original = inspect(kCheckpoints + "csm-tiny-f/original");
  EXPECT_EQ(original.layout, "original");
  const auto has = [&](const std::string& name) {
    return std::any_of(original.tensors.begin(), original.tensors.end(), [&](const auto& t) { return t.name == name; });
  };
  EXPECT_TRUE(has("audio_head") && has("upsample.convtr.convtr.convtr.weight"));  // names as in the files
  const FileReport mimi = inspect(kCheckpoints + "mimi-tiny-c");
  EXPECT_EQ(mimi.kind, "mimi");
  EXPECT_EQ(rows_of(mimi).count("backbone.layers"), 0u);
  EXPECT_EQ(rows_of(mimi)["codec.window"], "16");
  EXPECT_EQ(inspect(kCheckpoints + "csm-tiny-f/hf-f32").n_parameters, original.n_parameters);
}

TEST(Inspect, SingleFiles) {
  const FileReport list = inspect(std::string(CSM_TEST_DATA) + "/gold/sampling.safetensors");
  EXPECT_EQ(list.kind, "safetensors");
  EXPECT_TRUE(list.spec.empty() && list.memory_estimates.empty() && list.layout.empty());
  uint64_t n_bytes = 0;
  for (const TensorSummary& tensor : list.tensors) n_bytes += tensor.n_bytes;
  EXPECT_EQ(list.weight_bytes, n_bytes);
  EXPECT_EQ(list.n_parameters * 4, n_bytes);
  EXPECT_EQ(list.tensors[0].type, "F32");
  const FileReport config = inspect(kCheckpoints + "nano/config.json");
  EXPECT_EQ(config.kind, "config");
  EXPECT_TRUE(config.tensors.empty());
  EXPECT_EQ(config.n_parameters, inspect(kCheckpoints + "nano").n_parameters);
  EXPECT_EQ(inspect(kCheckpoints + "nano/model.safetensors").kind, "csm");  // weights are checked with their model
  EXPECT_EQ(inspect(kCheckpoints + "nano/tokenizer.json").kind, "csm");
  EXPECT_EQ(inspect(kCheckpoints + "csm-tiny-f/hf-sharded-bf16/model.safetensors.index.json").kind, "csm");
}

TEST(Inspect, WarnsOfAMissingTokenizer) {
  ModelDirectory directory("nano");
  directory.remove("tokenizer.json");
  const FileReport report = inspect(directory.path());
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_TRUE(contains(report.warnings[0], "tokenizer.json"));
}

TEST(Inspect, MissingAndForeignFiles) {
  EXPECT_NE(error_of([] { inspect("no/such/model"); }, ErrorCode::kNotFound), "");
  EXPECT_EQ(inspect(kMalformed + "base/unit.gguf").kind, "gguf") << "another model's file is listed";
  EXPECT_NE(error_of([] { inspect(std::string(CSM_TEST_DATA) + "/gold"); }, ErrorCode::kNotFound), "");
}

// Whether inspect() refuses the path; its error must be one bounded line.
bool refused(const std::string& path) {
  try {
    (void)inspect(path);
    return false;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 4096u) << message;
    EXPECT_NE(error.code(), ErrorCode::kInternal) << message;
    return true;
  }
}

TEST(Inspect, MalformedSet) {
  const auto manifest = nlohmann::json::parse(std::ifstream(kMalformed + "manifest.json"));
  std::map<std::string, int> n_cases;
  for (const auto& item : manifest.at("cases")) {
    const std::string target = item.at("target").get<std::string>();
    const std::string path = item.at("path").get<std::string>();
    const std::string expect = item.at("expect").get<std::string>();
    bool was_refused = false;
    if (target == "model") {
      ModelDirectory directory(item.at("overlay_on").get<std::string>().substr(5));  // "ckpt/nano"
      directory.add(kMalformed + path);
      was_refused = refused(directory.path());
    } else if (target == "safetensors" || target == "json") {
      was_refused = refused(kMalformed + path);
    } else {
      continue;
    }
    ++n_cases[target];
    if (expect == "error") EXPECT_TRUE(was_refused) << path << " was accepted: " << item.at("why");
    if (expect == "accept") EXPECT_FALSE(was_refused) << path << " was refused";
  }
  EXPECT_GE(n_cases["model"], 50);
  EXPECT_GE(n_cases["safetensors"], 40);
  EXPECT_GE(n_cases["json"], 15);
}

}  // namespace
}  // namespace csm::test
