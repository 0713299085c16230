// The tiktoken form of a tokenizer: the ids of the tokenizer.json of the same vocabulary, its special tokens, damaged files.
#include "text/tiktoken_file.h"

#include <array>
#include <cstdlib>
#include <map>

#include "io/file.h"
#include "text/byte_pairs.h"
#include "text_test.h"

namespace csm {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (int shift = 18; shift >= 0; shift -= 6) text += kDigits[group >> shift & 63];
    if (i + 2 >= bytes.size()) text.back() = '=';
    if (i + 1 >= bytes.size()) text[text.size() - 2] = '=';
  }
  return text;
}

// The bytes that a token of a tokenizer.json stands for.
std::string bytes_of(const std::string& token) {
  static const std::map<std::string, char> bytes = [] {
    std::map<std::string, char> made;
    for (size_t byte = 0; byte < 256; ++byte) made[byte_characters()[byte]] = static_cast<char>(byte);
    return made;
  }();
  std::string text;
  for (size_t i = 0; i < token.size();) {
    const size_t n = (token[i] & 0x80) != 0 ? 2 : 1;
    const auto found = bytes.find(token.substr(i, n));
    text += found != bytes.end() ? found->second : token[i];  // a golden token holds a character that stands for no byte
    i += found != bytes.end() ? n : 1;
  }
  return text;
}

// The vocabulary with each token written as its bytes are.
json by_bytes(const json& vocabulary) {
  json written = json::object();
  for (const auto& [token, id] : vocabulary.items()) {
    std::string name;
    for (const char byte : bytes_of(token)) name += byte_characters()[static_cast<unsigned char>(byte)];
    written[name] = id;
  }
  return written;
}

std::string tiktoken_form(const json& vocabulary) {
  std::vector<std::string> lines(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) lines.at(id.get<size_t>()) = base64(bytes_of(token)) + " " + std::to_string(id.get<int>()) + "\n";
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

// All ways to join a token from two others, which is what the tiktoken form means.
json all_merges(const json& vocabulary) {
  std::vector<std::pair<std::array<int, 3>, json>> found;
  for (const auto& [token, id] : vocabulary.items()) {
    for (size_t i = 1; i < token.size(); ++i) {
      const auto left = vocabulary.find(token.substr(0, i));
      const auto right = vocabulary.find(token.substr(i));
      if (left != vocabulary.end() && right != vocabulary.end()) found.push_back({{id, *left, *right}, json{left.key(), right.key()}});
    }
  }
  std::sort(found.begin(), found.end());
  json merges = json::array();
  for (const auto& [order, merge] : found) merges.push_back(merge);
  return merges;
}

const std::string kGood = "YQ== 0\nYg== 1\nYWI= 2\n";  // a, b, ab

void refuse(const std::string& bytes, const std::string& part) {
  const std::string message = message_of(ErrorCode::kInvalidData, [&] { Tokenizer::parse_model(bytes, "tokenizer.model"); });
  EXPECT_TRUE(contains(message, part)) << message << "\nlacks: " << part;
}

TEST(TiktokenFile, IdsOfTheJsonForm) {
  for (const char* name : {"csm-tiny-a", "csm-tiny-b", "nano"}) {
    json file = read_json(kData + "/ckpt/" + name + "/tokenizer.json");
    json& model = file["model"];
    model["vocab"] = by_bytes(model["vocab"]);
    const auto tokenizer = Tokenizer::parse_model(tiktoken_form(model["vocab"]), name);
    model["merges"] = all_merges(model["vocab"]);
    const auto n = static_cast<int>(model["vocab"].size());
    file["added_tokens"] = json::array();
    for (int id = n; id < tokenizer->n_ids(); ++id) file["added_tokens"].push_back({{"id", id}, {"content", tokenizer->printable(id)}});
    const auto expected = Tokenizer::parse_json(file.dump(), name);
    EXPECT_EQ(tokenizer->n_ids(), n + 256);
    const auto check = [&](const std::string& text) {
      EXPECT_EQ(tokenizer->encode(text), expected->encode(text)) << name << ": " << text;
      EXPECT_EQ(tokenizer->encode_with_special_tokens(text), expected->encode_with_special_tokens(text)) << name << ": " << text;
    };
    const json golden = read_json(kData + "/gold/" + name + "/tokenizer_vectors.json");
    for (const json& item : golden.at("vectors")) check(item.at("text"));
    const json more = read_json(kTests + "/text/vectors.json");
    for (const json& text : more.at("texts")) check(text);
  }
}

// Where the merges of the file are all there are, the golden ids are those of the tiktoken form.
TEST(TiktokenFile, GoldenIds) {
  size_t n_same = 0;
  const json file = read_json(kData + "/ckpt/csm-tiny-a/tokenizer.json");
  const auto tokenizer = Tokenizer::parse_model(tiktoken_form(file["model"]["vocab"]), "t", 400);
  EXPECT_EQ(tokenizer->n_ids(), 400) << "as many special tokens as the text table has rows";
  EXPECT_EQ(tokenizer->bos_id(), 384);
  EXPECT_EQ(tokenizer->eos_id(), 385);
  const json vectors = read_json(kData + "/gold/csm-tiny-a/tokenizer_vectors.json").at("vectors");
  for (const json& item : vectors) n_same += tokenizer->encode_with_special_tokens(item.at("text").get<std::string>()) == item.at("ids_bos_eos").get<Ids>();
  EXPECT_GE(n_same, vectors.size() - 4) << "of " << vectors.size();
}

// The real file is under its own licence, so it is not here. tests/golden tells how to get it.
TEST(TiktokenFile, Llama3Goldens) {
  const char* path = std::getenv("CSM_LLAMA3_TOKENIZER_MODEL");
  if (path == nullptr) GTEST_SKIP() << "set CSM_LLAMA3_TOKENIZER_MODEL to Llama 3's tokenizer.model";
  const auto tokenizer = Tokenizer::load(path);
  EXPECT_EQ(tokenizer->n_ids(), 128'256);
  const json golden = read_json(kData + "/gold/llama3_tokenizer_vectors.json");
  for (const json& item : golden.at("vectors")) {
    const auto text = item.at("text").get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), item.at("ids").get<Ids>()) << text;
    EXPECT_EQ(tokenizer->encode_with_special_tokens(text), item.at("ids_bos_eos").get<Ids>()) << text;
  }
}

TEST(TiktokenFile, SpecialTokens) {
  const auto tokenizer = Tokenizer::parse_model(kGood, "t");
  EXPECT_EQ(tokenizer->n_ids(), 3 + 256);
  const std::pair<const char*, int> expected[] = {
      {"<|begin_of_text|>", 3},  {"<|end_of_text|>", 4},   {"<|reserved_special_token_0|>", 5},   {"<|AUDIO|>", 5},
      {"<|audio_eos|>", 6},      {"<|python_tag|>", 13},   {"<|finetune_right_pad_id|>", 7},      {"<|reserved_special_token_2|>", 8},
      {"<|start_header_id|>", 9}, {"<|end_header_id|>", 10}, {"<|eom_id|>", 11},                   {"<|eot_id|>", 12},
      {"<|reserved_special_token_3|>", 14},                 {"<|reserved_special_token_247|>", 258}};
  for (const auto& [name, id] : expected) {
    EXPECT_EQ(tokenizer->id_of(name), id) << name;
    EXPECT_EQ(tokenizer->encode(std::string("ab") + name + "b"), (Ids{2, id, 1})) << name;
  }
  for (int id = 0; id < tokenizer->n_ids(); ++id) EXPECT_NE(tokenizer->printable(id), "") << id;
}

TEST(TiktokenFile, DamagedLines) {
  EXPECT_NO_THROW(Tokenizer::parse_model("\r\n" + kGood, "t")) << "empty lines count for nothing";
  refuse(kGood + "YQ= 3\n", "line 4");
  refuse(kGood + "YR== 3\n", "line 4");
  refuse(kGood + "Y!== 3\n", "line 4");
  refuse(kGood + "YWJj\n", "line 4");
  refuse(kGood + "YWJj -1\n", "line 4");
  refuse(kGood + "YWJj 3x\n", "line 4");
  refuse(kGood + "YWJj 3 \n", "line 4");
  refuse(kGood + "YWJj 99999999999\n", "line 4");
  refuse(kGood + "YWJj 16777215\n", "gap");
  refuse(kGood + "YWJj 4\n", "gap");
  refuse(kGood + "YWJj 2\n", "rank 2 is there twice");
  refuse(kGood + "YQ== 3\n", "same token");
  refuse(kGood + "====\n", "line 4");
  refuse(kGood + base64(std::string(300, 'a')) + " 3\n", "at most 256 bytes");
  const auto tokenizer = Tokenizer::parse_model(kGood, "t");
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode("abc"); }), "byte 0x63"));
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode("ab\xC3"); }), "UTF-8 at byte 2"));
}

}  // namespace
}  // namespace csm
