// Which files make up a model: single, sharded, original, alone; and what is said when one is missing or wrong.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/loader.h"
#include "model_directory.h"

namespace csm::test {
namespace {

std::string found_error(const std::string& path, ErrorCode code) {
  return error_of([&] { find_model_files(path); }, code);
}

std::string name_of(const std::string& path) { return std::filesystem::path(path).filename().string(); }

const std::string kPieces = std::string(CSM_TEST_DATA) + "/../../text/sentencepiece/";

TEST(Loader, EveryTinyCheckpointLoads) {
  for (const char* name : {"csm-tiny-a", "csm-tiny-b", "csm-tiny-f/hf-f32", "csm-tiny-f/hf-bf16", "csm-tiny-f/hf-f16",
                           "csm-tiny-f/hf-sharded-bf16", "csm-tiny-f/original", "mimi-tiny-c", "nano"}) {
    const ModelFiles files = find_model_files(kCheckpoints + name);
    const auto checkpoint = load_checkpoint(files);
    EXPECT_TRUE(checkpoint->warnings().empty()) << name << ": " << checkpoint->warnings().front();
    EXPECT_EQ(files.tokenizer.empty(), !checkpoint->spec().has_language_model) << name;
  }
}

TEST(Loader, BundledModelHasItsOwnSampling) {
  const ModelFiles files = find_model_files(std::string(CSM_MODELS_DIR) + "/demo");
  const ModelSpec spec = load_checkpoint(files)->spec();
  EXPECT_FLOAT_EQ(spec.backbone_sampling.temperature, 0.4f);
  EXPECT_FLOAT_EQ(spec.depth_sampling.temperature, 0.4f);
  EXPECT_EQ(spec.depth_sampling.top_k, 50);
  EXPECT_EQ(spec.max_new_frames, 125);
  EXPECT_GT(load_tokenizer(files)->n_ids(), 400);
}

TEST(Loader, AnyFileOfAModelStandsForIt) {
  for (const char* name : {"", "/config.json", "/model.safetensors", "/tokenizer.json", "/generation_config.json"}) {
    const ModelFiles files = find_model_files(kCheckpoints + "csm-tiny-b" + name);
    ASSERT_EQ(files.weights.size(), 1u) << name;
    EXPECT_EQ(name_of(files.weights[0]), "model.safetensors");
    EXPECT_EQ(name_of(files.config), "config.json");
    EXPECT_EQ(name_of(files.generation_config), "generation_config.json");
    EXPECT_EQ(name_of(files.tokenizer), "tokenizer.json");
  }
}

TEST(Loader, ShardsComeThroughEitherIndex) {
  const std::string sharded = kCheckpoints + "csm-tiny-f/hf-sharded-bf16";
  for (const char* name : {"", "/model.safetensors.index.json", "/transformers.safetensors.index.json",
                           "/transformers-00002-of-00002.safetensors", "/config.json"}) {
    EXPECT_EQ(find_model_files(sharded + name).weights.size(), 2u) << name;
  }
  ModelDirectory directory("csm-tiny-f/hf-sharded-bf16");
  directory.remove("transformers.safetensors.index.json");
  EXPECT_EQ(find_model_files(directory.path()).weights.size(), 2u);
}

// As sesame/csm-1b on the hub: the original weights under the usual name, the Transformers set beside them.
TEST(Loader, TransformersSetIsPreferredToTheOriginalBesideIt) {
  ModelDirectory directory("csm-tiny-f/original");
  directory.add(kCheckpoints + "csm-tiny-f/hf-sharded-bf16/transformers-00001-of-00002.safetensors");
  directory.add(kCheckpoints + "csm-tiny-f/hf-sharded-bf16/transformers-00002-of-00002.safetensors");
  EXPECT_EQ(load_checkpoint(find_model_files(directory.file("model.safetensors")))->layout(), "original");
  directory.add(kCheckpoints + "csm-tiny-f/hf-sharded-bf16/transformers.safetensors.index.json");
  EXPECT_EQ(load_checkpoint(find_model_files(directory.path()))->layout(), "transformers");
  // Who names the original file means it.
  EXPECT_EQ(load_checkpoint(find_model_files(directory.file("model.safetensors")))->layout(), "original");
}

TEST(Loader, OriginalTakesTheMimiFileBesideIt) {
  const ModelFiles files = find_model_files(kCheckpoints + "csm-tiny-f/original");
  ASSERT_EQ(files.weights.size(), 2u);
  EXPECT_EQ(name_of(files.weights[0]), "model.safetensors");
  EXPECT_EQ(name_of(files.weights[1]), "tokenizer-csm-tiny-f.safetensors");
  EXPECT_EQ(find_model_files(files.weights[1]).weights, files.weights);
  ModelDirectory directory("csm-tiny-f/original");
  directory.add(files.weights[1], "mimi.safetensors");
  EXPECT_TRUE(contains(found_error(directory.path(), ErrorCode::kInvalidData), "several Mimi files"));
  directory.remove("tokenizer-csm-tiny-f.safetensors");
  EXPECT_EQ(name_of(find_model_files(directory.path()).weights[1]), "mimi.safetensors");
  directory.remove("mimi.safetensors");
  EXPECT_TRUE(contains(found_error(directory.path(), ErrorCode::kNotFound), "tokenizer-*.safetensors"));
}

TEST(Loader, MimiAloneUnderKyutaisName) {
  ModelDirectory directory;
  directory.add(kCheckpoints + "csm-tiny-f/original/tokenizer-csm-tiny-f.safetensors");
  const auto config = nlohmann::json::parse(std::ifstream(kCheckpoints + "csm-tiny-f/original/config.json"));
  directory.write("config.json", config.at("codec_config").dump());
  const auto checkpoint = load_checkpoint(find_model_files(directory.path()));
  EXPECT_EQ(checkpoint->layout(), "mimi");
}

TEST(Loader, OneSafetensorsFileOfAnyName) {
  ModelDirectory directory("nano");
  std::filesystem::rename(directory.file("model.safetensors"), directory.file("weights.safetensors"));
  EXPECT_EQ(name_of(find_model_files(directory.path()).weights[0]), "weights.safetensors");
  directory.add(directory.file("weights.safetensors"), "other.safetensors");
  EXPECT_TRUE(
      contains(found_error(directory.path(), ErrorCode::kInvalidData), "other.safetensors, weights.safetensors"));
  EXPECT_EQ(name_of(find_model_files(directory.file("other.safetensors")).weights[0]), "other.safetensors");
}

TEST(Loader, SaysWhatIsMissing) {
  for (const char* path : {"", "no/such/model", "/"}) EXPECT_NE(found_error(path, ErrorCode::kNotFound), "") << path;
  ModelDirectory directory("nano");
  directory.remove("model.safetensors");
  EXPECT_TRUE(contains(found_error(directory.path(), ErrorCode::kNotFound), "model.safetensors"));
  directory.remove("config.json");
  EXPECT_TRUE(contains(found_error(directory.path(), ErrorCode::kNotFound), "config.json"));
  directory.write("notes.txt", "x");
  EXPECT_NE(found_error(directory.file("notes.txt"), ErrorCode::kInvalidArgument), "");
}

TEST(Loader, FormatsThatAreNotRead) {
  ModelDirectory directory;
  directory.add(kMalformed + "base/unit.gguf");
  EXPECT_TRUE(contains(found_error(directory.path(), ErrorCode::kUnsupported), "unit.gguf"));
  EXPECT_TRUE(contains(found_error(directory.file("unit.gguf"), ErrorCode::kUnsupported), "unit.gguf"));
  ModelDirectory other("csm-tiny-f/original");
  other.remove("model.safetensors");
  other.remove("tokenizer-csm-tiny-f.safetensors");
  other.write("weights.npz", "PK");
  EXPECT_TRUE(contains(found_error(other.path(), ErrorCode::kUnsupported), "weights.npz"));
  EXPECT_TRUE(contains(found_error(other.file("weights.npz"), ErrorCode::kUnsupported), "weights.npz"));
}

TEST(Loader, IndexIsNotTrusted) {
  ModelDirectory directory("nano");
  std::filesystem::rename(directory.file("model.safetensors"), directory.file("a.safetensors"));
  const auto with = [&](const std::string& text, ErrorCode code) {
    directory.write("model.safetensors.index.json", text);
    return found_error(directory.path(), code);
  };
  const auto bad = ErrorCode::kInvalidData;
  EXPECT_TRUE(contains(with("[]", bad), "object"));
  EXPECT_TRUE(contains(with("{}", bad), "weight_map"));
  EXPECT_TRUE(contains(with(R"({"weight_map": []})", bad), "weight_map"));
  EXPECT_TRUE(contains(with(R"({"weight_map": {}})", bad), "weight_map"));
  EXPECT_TRUE(contains(with(R"({"weight_map": {"x": 1}})", bad), "weight_map"));
  for (const char* shard : {"../a.safetensors", "/a.safetensors", "sub/a.safetensors", "..", "", "a.txt",
                            "a\\u0000.safetensors", "..\\\\a.safetensors"}) {
    EXPECT_TRUE(contains(with(std::string(R"({"weight_map": {"x": ")") + shard + "\"}}", bad), "same directory"))
        << shard;
  }
  EXPECT_TRUE(contains(with(R"({"weight_map": {"x": "b.safetensors"}})", ErrorCode::kNotFound), "b.safetensors"));
  EXPECT_TRUE(
      contains(with(R"({"weight_map": {"lm_head.weight": "a.safetensors", "x": "a.safetensors"}})", bad), "\"x\""));
  EXPECT_EQ(with(R"({"weight_map": {"lm_head.weight": "a.safetensors"}})", bad), "");
}

TEST(Loader, SameTensorInTwoShards) {
  ModelDirectory directory("nano");
  directory.add(directory.file("model.safetensors"), "a.safetensors");
  std::filesystem::rename(directory.file("model.safetensors"), directory.file("b.safetensors"));
  directory.write(
      "model.safetensors.index.json",
      R"({"weight_map": {"lm_head.weight": "a.safetensors", "embed_text_tokens.weight": "b.safetensors"}})");
  const std::string message =
      error_of([&] { load_checkpoint(find_model_files(directory.path())); }, ErrorCode::kInvalidData);
  EXPECT_TRUE(contains(message, "given twice")) << message;
}

TEST(Loader, TokenizerMustFitTheTextTable) {
  ModelDirectory directory("nano");
  EXPECT_LE(load_tokenizer(find_model_files(directory.path()))->n_ids(), 272);
  directory.add(kCheckpoints + "csm-tiny-a/tokenizer.json");
  const std::string message =
      error_of([&] { load_tokenizer(find_model_files(directory.path())); }, ErrorCode::kInvalidData);
  EXPECT_TRUE(contains(message, "text_vocab_size")) << message;
  directory.remove("tokenizer.json");
  const ModelFiles files = find_model_files(directory.path());
  EXPECT_TRUE(contains(error_of([&] { load_tokenizer(files); }, ErrorCode::kNotFound), "tokenizer.json"));
}

TEST(Loader, TokenizerModelWhereThereIsNoJson) {
  ModelDirectory directory("csm-tiny-a");
  directory.add(kPieces + "plain.model", "tokenizer.model");
  EXPECT_EQ(std::filesystem::path(find_model_files(directory.path()).tokenizer).filename(), "tokenizer.json") << "it comes first";
  directory.remove("tokenizer.json");
  const ModelFiles files = find_model_files(directory.file("tokenizer.model"));
  EXPECT_EQ(files.tokenizer, directory.file("tokenizer.model"));
  const auto tokenizer = load_tokenizer(files);
  EXPECT_EQ(tokenizer->n_ids(), 200);
  EXPECT_EQ(tokenizer->printable(tokenizer->bos_id()), "<s>");
  directory.add(kPieces + "unigram.model", "tokenizer.model");
  EXPECT_TRUE(contains(error_of([&] { load_tokenizer(files); }, ErrorCode::kInvalidData), "text_vocab_size"));
  // Llama 3's form.
  directory.write("tokenizer.model", "YQ== 0\nYg== 1\n");
  EXPECT_EQ(load_tokenizer(files)->n_ids(), 2 + 256);
}

TEST(Loader, GenerationConfigIsChecked) {
  ModelDirectory directory("nano");
  directory.write("generation_config.json", R"({"temperature": "warm"})");
  const std::string message =
      error_of([&] { load_checkpoint(find_model_files(directory.path())); }, ErrorCode::kInvalidData);
  EXPECT_TRUE(contains(message, "generation_config.json") && contains(message, "temperature")) << message;
}

}  // namespace
}  // namespace csm::test
