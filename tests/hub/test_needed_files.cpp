// Of all that a repository holds, what csm reads: by the lists of real ones, shortened.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "hub/needed_files.h"
#include "hub_test.h"
#include "io/gguf.h"

namespace csm {
namespace {

using Names = std::vector<std::string>;

TEST(NeededFiles, OneFormatOfSeveral) {
  const NeededFiles needed = choose_files(
      {".gitattributes", "README.md", "chat_template.jinja", "ckpt.pt", "config.json", "generation_config.json",
       "model.safetensors", "preprocessor_config.json", "prompts/conversational_a.wav", "tokenizer.json",
       "tokenizer_config.json", "transformers-00001-of-00002.safetensors", "transformers-00002-of-00002.safetensors",
       "transformers.safetensors.index.json"},
      "", "sesame/csm-1b");
  EXPECT_EQ(needed.small,
            (Names{"config.json", "generation_config.json", "tokenizer.json", "transformers.safetensors.index.json"}));
  EXPECT_EQ(needed.index, "transformers.safetensors.index.json");
  EXPECT_TRUE(needed.weights.empty());
  EXPECT_EQ(needed.absent, Names{"tokenizer.model"});
}

TEST(NeededFiles, OriginalLayoutWithItsCodec) {
  const NeededFiles needed = choose_files({"config.json", "model.safetensors", "tokenizer-abc.safetensors"}, "", "a/b");
  EXPECT_EQ(needed.weights, Names{"model.safetensors"});
  EXPECT_EQ(needed.codec, "tokenizer-abc.safetensors");
  EXPECT_EQ(needed.absent, (Names{"generation_config.json", "tokenizer.json", "tokenizer.model"}));
  EXPECT_EQ(choose_files({"config.json", "ckpt.pt"}, "", "a/b").weights, Names{"ckpt.pt"});
}

TEST(NeededFiles, PyTorchWhereThereIsNothingElse) {
  EXPECT_EQ(choose_files({"config.json", "pytorch_model.bin", "training_args.bin", "optimizer.pt"}, "", "a/b").weights,
            Names{"pytorch_model.bin"});
  EXPECT_EQ(choose_files({"config.json", "model.safetensors", "pytorch_model.bin"}, "", "a/b").weights, Names{"model.safetensors"});
  const NeededFiles shards = choose_files(
      {"config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"}, "", "a/b");
  EXPECT_EQ(shards.index, "pytorch_model.bin.index.json");
  EXPECT_TRUE(shards.weights.empty());
  const NeededFiles original = choose_files({"config.json", "epoch-3.pth", "mimi.pt"}, "", "a/b");
  EXPECT_EQ(original.weights, Names{"epoch-3.pth"});
  EXPECT_EQ(original.codec, "mimi.pt");
  error_of([] { choose_files({"config.json", "one.pt", "two.pt"}, "", "a/b"); }, ErrorCode::kInvalidArgument);
}

TEST(NeededFiles, WatermarkWeightsAreNoModel) {
  const std::string folder = "44_1_khz/73999_iteration/";
  const NeededFiles needed = choose_files({"16_khz/97561_iteration/enc_c.ckpt", folder + "dec_c.ckpt", folder + "dec_m_0.ckpt",
                                           folder + "enc_c.ckpt", folder + "hparams.yaml", folder + "opt.ckpt", "README.md"}, "", "a/b");
  EXPECT_FALSE(needed.is_model);
  EXPECT_EQ(needed.weights, (Names{folder + "enc_c.ckpt", folder + "dec_c.ckpt", folder + "dec_m_0.ckpt"}));
  EXPECT_TRUE(needed.small.empty() && needed.absent.empty() && needed.codec.empty());
}

TEST(NeededFiles, SentencePieceWhereThereIsNoJson) {
  const NeededFiles needed = choose_files({"config.json", "model.safetensors", "tokenizer.model"}, "", "a/b");
  EXPECT_EQ(needed.small, (Names{"config.json", "tokenizer.model"}));
}

TEST(NeededFiles, GgufSetsAndSizes) {
  EXPECT_EQ(
      choose_files({"README.md", "kyutai-mimi.gguf", "sesame-csm-backbone.gguf", "sesame-csm-decoder.gguf"}, "", "a/b")
          .weights,
      (Names{"sesame-csm-backbone.gguf", "sesame-csm-decoder.gguf", "kyutai-mimi.gguf"}));
  EXPECT_EQ(choose_files({"csm-1b-f16.gguf", "csm-1b-q4_k.gguf", "csm-1b-Q8_0.gguf"}, "", "a/b").weights,
            Names{"csm-1b-Q8_0.gguf"});
  const std::string what = error_of(
      [] {
        choose_files({"one.gguf", "two.gguf"}, "", "a/b");
      },
      ErrorCode::kInvalidArgument);
  EXPECT_NE(what.find("a/b/one.gguf"), std::string::npos) << what;
}

TEST(NeededFiles, NamedFile) {
  EXPECT_EQ(choose_files({"one.gguf", "two.gguf"}, "two.gguf", "a/b").weights, Names{"two.gguf"});
  const std::string what = error_of([] { choose_files({"one.gguf"}, "onne.gguf", "a/b"); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("did you mean 'one.gguf'"), std::string::npos) << what;
}

TEST(NeededFiles, NothingToRead) {
  error_of([] { choose_files({"README.md", "weights.npz"}, "", "a/b"); }, ErrorCode::kUnsupported);
  error_of([] { choose_files({}, "", "a/b"); }, ErrorCode::kUnsupported);
  error_of([] { choose_files({"model.safetensors"}, "", "a/b"); }, ErrorCode::kUnsupported);
  error_of(
      [] {
        choose_files({"config.json", "a.safetensors", "b.safetensors"}, "", "a/b");
      },
      ErrorCode::kInvalidArgument);
}

TEST(NeededFiles, ContentsOfRealWeights) {
  const std::string tiny = CSM_TEST_DATA "/ckpt/csm-tiny-f/";
  EXPECT_EQ(read_shards(tiny + "hf-sharded-bf16/transformers.safetensors.index.json"),
            (Names{"transformers-00001-of-00002.safetensors", "transformers-00002-of-00002.safetensors"}));
  EXPECT_TRUE(has_codec({tiny + "hf-f32/model.safetensors"}));
  EXPECT_TRUE(needs_tokenizer({tiny + "hf-f32/model.safetensors"}));
  EXPECT_FALSE(has_codec({tiny + "original/model.safetensors"}));
  EXPECT_TRUE(has_codec({tiny + "original/tokenizer-csm-tiny-f.safetensors"}));
  EXPECT_FALSE(has_codec({tiny + "original-pt/ckpt.pt"}));
  EXPECT_TRUE(needs_tokenizer({tiny + "original-pt/ckpt.pt"}));
  EXPECT_FALSE(needs_tokenizer({CSM_TEST_DATA "/ckpt/mimi-tiny-c/model.safetensors"}));
}

TEST(NeededFiles, VocabularyOfAPublishedSet) {
  const std::string backbone =
      (std::filesystem::temp_directory_path() / ("csm_backbone_" + std::to_string(::getpid()) + ".gguf")).string();
  for (const bool has_vocabulary : {false, true}) {
    GgufWriter writer;
    writer.set_text("general.architecture", "llama-csm");
    if (has_vocabulary) writer.set_strings("tokenizer.ggml.tokens", {"a", "b"});
    std::ofstream file(backbone, std::ios::binary);
    writer.begin([&](std::span<const std::byte> bytes) {
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    });
    writer.finish();
    file.close();
    EXPECT_EQ(needs_tokenizer({backbone, "decoder.gguf", "mimi.gguf"}), !has_vocabulary);
    EXPECT_FALSE(needs_tokenizer({backbone})) << "one file of ours holds all";
  }
  std::filesystem::remove(backbone);
}

}  // namespace
}  // namespace csm
