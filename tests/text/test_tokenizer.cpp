// Tokenizer: golden vectors, random texts as Hugging Face tokenizers encodes them, long texts, invalid UTF-8.
#include "text/tokenizer.h"

#include <cstdlib>

#include "base/utf8.h"
#include "text/byte_pairs.h"
#include "text_test.h"

namespace csm {
namespace {

using Ids = std::vector<int32_t>;

void check_golden(const Tokenizer& tokenizer, const std::string& vectors_path, size_t at_least) {
  const auto vectors = read_json(vectors_path).at("vectors");
  ASSERT_GE(vectors.size(), at_least);
  for (const auto& item : vectors) {
    const auto text = item.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), item.at("ids").get<Ids>()) << text;
    EXPECT_EQ(tokenizer.encode_with_special_tokens(text), item.at("ids_bos_eos").get<Ids>()) << text;
  }
}

// The text that ids came from, for tokenizers whose added tokens swallow nothing.
std::string decode(const Tokenizer& tokenizer, const Ids& ids) {
  std::map<std::string, char> bytes;
  for (size_t byte = 0; byte < 256; ++byte) bytes[byte_characters()[byte]] = static_cast<char>(byte);
  std::string text;
  for (const int32_t id : ids) {
    const std::string token = tokenizer.printable(id);
    for (size_t position = 0; position < token.size();) {
      const size_t start = position;
      next_code_point(token, position);
      text += bytes.at(token.substr(start, position - start));
    }
  }
  return text;
}

TEST(Tokenizer, Goldens) {
  for (const char* name : {"csm-tiny-a", "csm-tiny-b", "nano"}) {
    const auto tokenizer = Tokenizer::load(kData + "/ckpt/" + name + "/tokenizer.json");
    check_golden(*tokenizer, kData + "/gold/" + name + "/tokenizer_vectors.json", 46);
  }
  for (const char* name : {"hf-f32", "hf-bf16", "hf-f16", "hf-sharded-bf16", "original"}) {
    const auto tokenizer = Tokenizer::load(kData + "/ckpt/csm-tiny-f/" + name + "/tokenizer.json");
    check_golden(*tokenizer, kData + "/gold/csm-tiny-f/tokenizer_vectors.json", 46);
  }
}

// The real file is 17 MB under its own licence, so it is not here. tests/golden tells how to make it.
TEST(Tokenizer, Llama3Goldens) {
  const char* path = std::getenv("CSM_LLAMA3_TOKENIZER");
  if (path == nullptr) GTEST_SKIP() << "set CSM_LLAMA3_TOKENIZER to a Llama 3 tokenizer.json";
  const auto tokenizer = Tokenizer::load(path);
  EXPECT_EQ(tokenizer->n_ids(), 128'256);
  check_golden(*tokenizer, kData + "/gold/llama3_tokenizer_vectors.json", 63);
}

TEST(Tokenizer, RandomTextsAndOtherFiles) {
  const auto document = read_json(kTests + "/text/vectors.json");
  const auto texts = document.at("texts").get<std::vector<std::string>>();
  ASSERT_GE(document.at("variants").size(), 10u);
  for (const auto& variant : document.at("variants")) {
    const auto name = variant.at("name").get<std::string>();
    auto file = read_json(kTests + "/" + variant.at("base").get<std::string>());
    file.merge_patch(variant.at("patch"));
    const auto tokenizer = Tokenizer::parse_json(file.dump(), name);
    const auto& expected = variant.at("ids");
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(tokenizer->encode_with_special_tokens(texts[i]), expected[i].get<Ids>()) << name << ": " << texts[i];
    }
  }
}

TEST(Tokenizer, NamesAndIds) {
  const auto tokenizer = Tokenizer::load(std::string(CSM_MODELS_DIR) + "/demo/tokenizer.json");
  EXPECT_EQ(tokenizer->n_ids(), 472);
  EXPECT_EQ(tokenizer->id_of("<|begin_of_text|>"), 456);
  EXPECT_EQ(tokenizer->printable(456), "<|begin_of_text|>");
  EXPECT_EQ(tokenizer->id_of("\xC4\xA0t"), tokenizer->encode(" t").at(0));
  EXPECT_EQ(tokenizer->id_of("no such token"), -1);
  EXPECT_EQ(tokenizer->printable(472), "");
  EXPECT_EQ(tokenizer->printable(-1), "");
}

TEST(Tokenizer, LongTextsComeBackWhole) {
  const auto tokenizer = Tokenizer::load(kData + "/ckpt/csm-tiny-a/tokenizer.json");
  for (const std::string part : {"a", "th", " ", "\n", "<", "<|", "<|end_of_text|>", "1", "'", "\xE6\x9D\xB1",
                                 "\xF0\x9F\x98\x80", "the ", "abcdefgh"}) {
    std::string text;
    while (text.size() < 100'000) text += part;
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(decode(*tokenizer, ids), text) << part;
    EXPECT_LE(ids.size(), text.size());
  }
  EXPECT_EQ(decode(*tokenizer, tokenizer->encode(std::string(1, '\0') + "a")), std::string(1, '\0') + "a");
}

TEST(Tokenizer, InvalidUtf8SaysWhere) {
  const auto tokenizer = Tokenizer::load(kData + "/ckpt/nano/tokenizer.json");
  for (const char* bytes : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\xE2\x82"}) {
    const std::string text = std::string("\xC3\xA9 ok") + bytes;
    const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode(text); });
    EXPECT_TRUE(contains(message, "not valid UTF-8 at byte 5 (0x")) << message;
    message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode_with_special_tokens(text); });
  }
}

TEST(Tokenizer, ABoundOnTheText) {
  const auto tokenizer = Tokenizer::load(kData + "/ckpt/nano/tokenizer.json");
  const std::string message =
      message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode(std::string((16u << 20) + 1, 'a')); });
  EXPECT_TRUE(contains(message, "expected at most 16777216")) << message;
}

TEST(Tokenizer, BytesWithoutATokenAreAnError) {
  auto file = read_json(kData + "/ckpt/nano/tokenizer.json");
  file["model"]["vocab"].erase("z");
  file["model"]["vocab"]["zz"] = 89;
  const auto tokenizer = Tokenizer::parse_json(file.dump(), "t.json");
  EXPECT_EQ(tokenizer->encode("yes").size(), 3u);
  const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode("zoo"); });
  EXPECT_TRUE(contains(message, "byte 0x7A")) << message;
}

TEST(Tokenizer, MissingFileIsNotFound) {
  message_of(ErrorCode::kNotFound, [] { Tokenizer::load(kData + "/no/tokenizer.json"); });
}

}  // namespace
}  // namespace csm
