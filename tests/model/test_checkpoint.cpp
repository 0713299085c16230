// Checkpoints: all layouts resolve to the same tensors, the manifest is exact, and one error lists all that is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>
#include <set>

#include "model/finite_check.h"
#include "model/manifest.h"
#include "model/tensor_names.h"
#include "model_test.h"

namespace csm::test {
namespace {

std::shared_ptr<const Checkpoint> nano(std::vector<TensorInfo> tensors) {
  return Checkpoint::create(spec_of("nano"), std::move(tensors), "nano");
}

std::string nano_error(std::vector<TensorInfo> tensors) {
  return error_of([&] { nano(tensors); });
}

std::shared_ptr<const Checkpoint> load(const std::string& checkpoint,
                                       std::vector<std::string> files = {"model.safetensors"}) {
  std::vector<TensorInfo> tensors;
  for (const std::string& file : files) {
    for (TensorInfo& tensor : weights_of(checkpoint, file)) tensors.push_back(std::move(tensor));
  }
  return Checkpoint::create(spec_of(checkpoint), std::move(tensors), checkpoint);
}

const std::vector<std::string> kOriginalFiles = {"model.safetensors", "tokenizer-csm-tiny-f.safetensors"};

TEST(Manifest, IsExactForTheTinyCheckpoints) {
  for (const char* name : {"csm-tiny-a", "csm-tiny-b", "csm-tiny-f/hf-f32", "mimi-tiny-c", "nano"}) {
    std::set<std::string> stored;
    for (const TensorInfo& tensor : weights_of(name)) {
      const CanonicalName canonical = canonical_name(tensor.name);
      if (!canonical.is_ignored) stored.insert(canonical.name);
    }
    const ModelSpec spec = spec_of(name);
    if (spec.tied_audio_embeddings && stored.erase(kDepthAudioTable) > 0) stored.insert(kBackboneAudioTable);
    std::set<std::string> listed;
    for (const ManifestEntry& entry : manifest(spec)) EXPECT_TRUE(listed.insert(entry.name).second) << entry.name;
    EXPECT_EQ(listed, stored) << name;
  }
}

// The counts of the specification, sections 1.8 and 4.1.
TEST(Manifest, CountsOfTheTrueModel) {
  const auto config = nlohmann::json::parse(R"({"backbone_flavor": "llama-1B", "decoder_flavor": "llama-100M",
      "text_vocab_size": 128256, "audio_vocab_size": 2051, "audio_num_codebooks": 32})");
  std::map<ModelPart, int64_t> counts;
  int n_codec_tensors = 0;
  for (const ManifestEntry& entry : manifest(parse_model_spec(config, "original"))) {
    counts[entry.part] += std::accumulate(entry.shape.begin(), entry.shape.end(), int64_t{1}, std::multiplies<>());
    n_codec_tensors += entry.part == ModelPart::kCodec ? 1 : 0;
  }
  EXPECT_EQ(counts[ModelPart::kText], 262'668'288);
  EXPECT_EQ(counts[ModelPart::kAudio], 134'414'336);
  EXPECT_EQ(counts[ModelPart::kBackbone], 973'146'112 + 4'200'448);
  EXPECT_EQ(counts[ModelPart::kDepth], 111'158'272 + 2'097'152 + 65'106'944);
  EXPECT_EQ(counts[ModelPart::kCodec] + 32, 96'151'393);  // without the 32 `initialized` flags
  EXPECT_EQ(n_codec_tensors + 32, 350);
}

TEST(Manifest, OnlyMatricesOfTheLanguageModelMayBeQuantised) {
  for (const ManifestEntry& entry : manifest(spec_of("csm-tiny-b"))) {
    const bool matrix = entry.shape.size() >= 2 && entry.use == TensorUse::kMatrix;
    const bool language_model = entry.part == ModelPart::kBackbone || entry.part == ModelPart::kDepth;
    EXPECT_EQ(entry.may_quantise, matrix && language_model) << entry.name;
  }
}

TEST(Checkpoint, OriginalLayoutHoldsTheSameNumbers) {
  const auto transformers = load("csm-tiny-f/hf-f32");
  const auto original = load("csm-tiny-f/original", kOriginalFiles);
  EXPECT_EQ(transformers->layout(), "transformers");
  EXPECT_EQ(original->layout(), "original");
  EXPECT_TRUE(original->warnings().empty()) << original->warnings().front();
  ASSERT_EQ(original->names(), transformers->names());
  for (const std::string& name : original->names()) {
    EXPECT_EQ(original->tensor(name).shape, transformers->tensor(name).shape) << name;
    EXPECT_EQ(values_of(original->tensor(name)), values_of(transformers->tensor(name))) << name;
  }
}

// Rows of q and k come in one order, whichever file each part is from.
void expect_transformers_numbers(const Checkpoint& mixed) {
  const auto transformers = load("csm-tiny-f/hf-f32");
  for (const char* part : {"backbone_model", "depth_decoder.model", "encoder_transformer", "decoder_transformer"}) {
    for (const char* matrix : {"q_proj", "k_proj"}) {
      const std::string name = std::string(part) + ".layers.0.self_attn." + matrix + ".weight";
      EXPECT_EQ(values_of(mixed.tensor(name)), values_of(transformers->tensor(name))) << name;
    }
  }
}

TEST(Checkpoint, MixedLayouts) {
  std::vector<TensorInfo> tensors;
  for (TensorInfo& tensor : weights_of("csm-tiny-f/hf-f32")) {
    if (tensor.name.rfind("codec_model.", 0) != 0) tensors.push_back(std::move(tensor));
  }
  for (TensorInfo& tensor : weights_of("csm-tiny-f/original", kOriginalFiles[1])) tensors.push_back(std::move(tensor));
  const auto mixed = Checkpoint::create(spec_of("csm-tiny-f/hf-f32"), std::move(tensors), "mixed");
  EXPECT_EQ(mixed->layout(), "transformers");
  expect_transformers_numbers(*mixed);
}

// The original language model beside Mimi's own Transformers file, whose decoder is named like the depth decoder.
TEST(Checkpoint, OriginalLanguageModelWithTransformersMimi) {
  std::vector<TensorInfo> tensors = weights_of("csm-tiny-f/original");
  for (TensorInfo& tensor : weights_of("csm-tiny-f/hf-f32")) {
    if (tensor.name.rfind("codec_model.", 0) != 0) continue;
    tensor.name.erase(0, std::string("codec_model.").size());
    tensors.push_back(std::move(tensor));
  }
  const auto mixed = Checkpoint::create(spec_of("csm-tiny-f/original"), std::move(tensors), "mixed");
  expect_transformers_numbers(*mixed);
}

TEST(Checkpoint, MimiAlone) {
  const auto mimi = load("mimi-tiny-c");
  EXPECT_EQ(mimi->layout(), "mimi");
  EXPECT_EQ(mimi->tensor("upsample.conv.weight").shape, (std::vector<int64_t>{32, 1, 4}));
  EXPECT_THROW(mimi->tensor("lm_head.weight"), Error);
  EXPECT_THROW(mimi->tensor(kBackboneAudioTable), Error);
}

TEST(Checkpoint, TiedTableUnderEitherNameOrBoth) {
  std::vector<TensorInfo> tensors = weights_of("csm-tiny-f/hf-f32");  // holds both
  const std::vector<float> expected = values_of(find(tensors, kDepthAudioTable));
  for (const char* dropped : {"", kBackboneAudioTable, kDepthAudioTable}) {
    std::vector<TensorInfo> some = tensors;
    if (*dropped != '\0') drop(some, dropped);
    const auto checkpoint = Checkpoint::create(spec_of("csm-tiny-f/hf-f32"), some, "f");
    EXPECT_TRUE(checkpoint->warnings().empty());
    EXPECT_EQ(values_of(checkpoint->tensor(kBackboneAudioTable)), expected);
    EXPECT_EQ(values_of(checkpoint->tensor(kDepthAudioTable)), expected);
  }
  std::vector<float> other = expected;
  other[3] += 1;
  find(tensors, kBackboneAudioTable) = made(kBackboneAudioTable, find(tensors, kDepthAudioTable).shape, other);
  const auto checkpoint = Checkpoint::create(spec_of("csm-tiny-f/hf-f32"), tensors, "f");
  ASSERT_EQ(checkpoint->warnings().size(), 1u);
  EXPECT_TRUE(contains(checkpoint->warnings()[0], "differ"));
  EXPECT_EQ(values_of(checkpoint->tensor(kBackboneAudioTable)), expected);  // the depth decoder's, as in Transformers
}

TEST(Checkpoint, UntiedTablesAreBothNeeded) {
  const auto checkpoint = load("csm-tiny-b");
  EXPECT_NE(values_of(checkpoint->tensor(kBackboneAudioTable)), values_of(checkpoint->tensor(kDepthAudioTable)));
  std::vector<TensorInfo> tensors = weights_of("csm-tiny-b");
  drop(tensors, kDepthAudioTable);
  EXPECT_TRUE(contains(error_of([&] { Checkpoint::create(spec_of("csm-tiny-b"), tensors, "b"); }), kDepthAudioTable));
}

TEST(Checkpoint, EarlyNameOfTheTextTable) {
  std::vector<TensorInfo> tensors = weights_of("nano");
  find(tensors, "embed_text_tokens.weight").name = "backbone_model.embed_tokens.embed_text_tokens.weight";
  EXPECT_EQ(nano(tensors)->tensor("embed_text_tokens.weight").shape[0], 272);
}

TEST(Checkpoint, UnknownTensorsAreWarnedOf) {
  std::vector<TensorInfo> tensors = weights_of("nano");
  tensors.push_back(made("extra\nline", {1}, {1}));
  tensors.push_back(
      made("codec_model.quantizer.semantic_residual_vector_quantizer.layers.9.codebook.initialized", {1}, {1}));
  tensors.push_back(made("backbone_model.layers.0.self_attn.rotary_emb.inv_freq", {1}, {1}));
  const auto checkpoint = nano(tensors);
  ASSERT_EQ(checkpoint->warnings().size(), 1u);
  EXPECT_TRUE(contains(checkpoint->warnings()[0], "extra\\nline")) << checkpoint->warnings()[0];
  EXPECT_FALSE(contains(checkpoint->warnings()[0], "initialized")) << checkpoint->warnings()[0];
}

TEST(Checkpoint, OneErrorListsEverything) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<TensorInfo> tensors = weights_of("nano");
  drop(tensors, "lm_head.weight");
  drop(tensors, "codec_model.upsample.conv.weight");
  find(tensors, "backbone_model.norm.weight") = made("backbone_model.norm.weight", {8}, std::vector<float>(8, kNan));
  find(tensors, "depth_decoder.model.norm.weight") = made("depth_decoder.model.norm.weight", {2, 2}, {1, 2, 3, 4});
  find(tensors, "codec_model.encoder.layers.0.conv.bias").type = DType::kI32;
  tensors.push_back(made("depth_decoder.model.norm.weight", {4}, {1, 2, 3, 4}));
  tensors.push_back(made("surprise", {1}, {1}));
  const std::string message = nano_error(tensors);
  for (const char* part :
       {"lm_head.weight", "upsample.conv.weight", "backbone_model.norm.weight", "F32 [2, 2], expected [4]",
        "encoder.layers.0.conv.bias", "I32 [2]", "given twice", "surprise", "'nano'"}) {
    EXPECT_TRUE(contains(message, part)) << part << " in " << message;
  }
}

TEST(Checkpoint, LongListsAreCutAndWholePartsNamed) {
  std::vector<TensorInfo> some;
  for (TensorInfo& tensor : weights_of("nano")) {
    if (!contains(tensor.name, "codec_model") && !contains(tensor.name, "backbone_model.layers"))
      some.push_back(std::move(tensor));
  }
  const std::string message = nano_error(some);
  EXPECT_TRUE(contains(message, "tensors of the codec")) << message;
  EXPECT_TRUE(contains(message, "and 2 more")) << message;  // nine of the layer and the codec: eight are listed
  EXPECT_LT(message.size(), 1500u);
  EXPECT_TRUE(contains(nano_error({}), "tensors of the backbone"));
}

TEST(Checkpoint, StackedAttentionOfTheWrongShape) {
  std::vector<TensorInfo> tensors = weights_of("csm-tiny-f/original");
  for (TensorInfo& tensor : weights_of("csm-tiny-f/original", kOriginalFiles[1])) tensors.push_back(std::move(tensor));
  const std::string name = "encoder_transformer.transformer.layers.0.self_attn.in_proj_weight";
  find(tensors, name) = made(name, {16, 48}, std::vector<float>(16 * 48, 0));
  const std::string message = error_of([&] { Checkpoint::create(spec_of("csm-tiny-f/original"), tensors, "f"); });
  EXPECT_TRUE(contains(message, "F32 [16, 48], expected [48, 16]")) << message;
  EXPECT_FALSE(contains(message, "missing")) << message;
}

// Each malformed case of nano that replaces its configuration or its weights.
TEST(Checkpoint, MalformedModels) {
  int n_cases = 0;
  const nlohmann::json cases = malformed_cases();
  for (const auto& item : cases) {
    const std::string path = item.at("path").get<std::string>();
    const bool is_config = contains(path, "config.json");
    if (item.at("target") != "model" || contains(path, "tokenizer.json")) continue;
    ++n_cases;
    const std::string config = is_config ? kMalformed + path : kCheckpoints + "nano/config.json";
    const std::string weights = is_config ? kCheckpoints + "nano/model.safetensors" : kMalformed + path;
    std::string message;
    ErrorCode code = ErrorCode::kInternal;
    try {
      Checkpoint::create(parse_model_spec(parse_json_file(config, 1 << 24), config), read_safetensors(weights),
                         weights);
    } catch (const Error& error) {
      message = error.what();
      code = error.code();
    }
    if (item.at("expect") == "accept") EXPECT_EQ(message, "") << path;
    if (item.at("expect") != "error") continue;
    EXPECT_NE(message, "") << path << " was accepted: " << item.at("why");
    EXPECT_TRUE(code == ErrorCode::kInvalidData || code == ErrorCode::kUnsupported) << message;
    EXPECT_TRUE(contains(message, is_config && item.at("error") != "missing-tensor" ? config : weights)) << message;
  }
  EXPECT_GE(n_cases, 40);
}

TEST(Checkpoint, ShapesOnlyReadsNothing) {
  std::vector<TensorInfo> tensors;
  std::atomic<int> n_fetches{0};
  for (const ManifestEntry& entry : manifest(spec_of("csm-tiny-a"))) {
    tensors.push_back({entry.name, DType::kBF16, entry.shape, [&]() -> TensorBytes {
                         ++n_fetches;
                         return {};
                       }});
  }
  const auto checkpoint = Checkpoint::create(spec_of("csm-tiny-a"), tensors, "memory", WeightCheck::kShapesOnly);
  EXPECT_EQ(n_fetches, 0);
  EXPECT_EQ(checkpoint->names().size(), tensors.size());
}

TEST(FiniteCheck, FindsTheOneBadValueInLargeTensors) {
  const auto shared =
      std::make_shared<std::vector<float>>(size_t{5} << 20, 1.0f);  // 20 MB, several times: enough for threads
  const auto bad = std::make_shared<std::vector<float>>(*shared);
  bad->back() = -std::numeric_limits<float>::infinity();
  std::vector<TensorInfo> tensors;
  for (const auto& values : {shared, shared, bad, shared}) {
    tensors.push_back({"t", DType::kF32, {static_cast<int64_t>(values->size())}, [values] {
                         return TensorBytes{std::as_bytes(std::span<const float>(*values)), values};
                       }});
  }
  std::vector<const TensorInfo*> pointers;
  for (const TensorInfo& tensor : tensors) pointers.push_back(&tensor);
  EXPECT_EQ(find_non_finite(pointers), (std::vector<bool>{false, false, true, false}));
  tensors[1].fetch = []() -> TensorBytes { throw Error(ErrorCode::kIo, "gone"); };
  EXPECT_THROW(find_non_finite(pointers), Error);
  tensors[1].fetch = [] { return TensorBytes{}; };
  EXPECT_THROW(find_non_finite(pointers), Error);
}

TEST(TensorNames, EveryOriginalName) {
  for (const std::string& file : kOriginalFiles) {
    for (const TensorInfo& tensor : weights_of("csm-tiny-f/original", file)) {
      const CanonicalName canonical = canonical_name(tensor.name);
      EXPECT_NE(canonical.family, NameFamily::kTransformers) << tensor.name;
      EXPECT_NE(is_language_model_name(canonical.name), is_codec_name(canonical.name)) << tensor.name;
    }
  }
  EXPECT_EQ(canonical_name("backbone.layers.x.attn.q_proj.weight").family, NameFamily::kTransformers);
  EXPECT_EQ(canonical_name("backbone.layers.").name, "backbone.layers.");
  EXPECT_EQ(canonical_name("").name, "");
}

}  // namespace
}  // namespace csm::test
