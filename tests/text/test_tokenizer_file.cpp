// tokenizer.json: the malformed set, and every field that decides what is read or refused.
#include <filesystem>
#include <functional>

#include "text/tokenizer.h"
#include "text/tokenizer_file.h"
#include "text_test.h"

namespace csm {
namespace {

using nlohmann::json;

TEST(TokenizerFile, MalformedSet) {
  int n_cases = 0;
  const json manifest = read_json(kData + "/malformed/manifest.json");
  for (const auto& item : manifest.at("cases")) {
    const std::string path = kData + "/malformed/" + item.at("path").get<std::string>();
    if (std::filesystem::path(path).filename() != "tokenizer.json") continue;
    ++n_cases;
    try {
      Tokenizer::load(path);
      EXPECT_NE(item.at("expect"), "error") << path << " was accepted: " << item.at("why");
    } catch (const Error& error) {
      EXPECT_NE(item.at("expect"), "accept") << error.what();
      EXPECT_TRUE(error.code() == ErrorCode::kInvalidData || error.code() == ErrorCode::kUnsupported) << error.what();
      EXPECT_TRUE(contains(error.what(), path)) << error.what();
      EXPECT_LT(std::string(error.what()).size(), path.size() + 300) << error.what();
    }
  }
  EXPECT_GE(n_cases, 9);
}

class TokenizerFields : public ::testing::Test {
 protected:
  json file_ = read_json(kData + "/ckpt/nano/tokenizer.json");
  json& model_ = file_["model"];
  json& vocab_ = model_["vocab"];
  json& split_ = file_["pre_tokenizer"]["pretokenizers"][0];
  json& byte_level_ = file_["pre_tokenizer"]["pretokenizers"][1];

  static json added(int64_t id, const std::string& content) { return {{"id", id}, {"content", content}}; }

  void accept() { EXPECT_NO_THROW(Tokenizer::parse_json(file_.dump(), "t.json")); }

  void refuse(ErrorCode code, const std::string& part) {
    const std::string message = message_of(code, [&] { Tokenizer::parse_json(file_.dump(), "t.json"); });
    EXPECT_EQ(message.rfind("'t.json'", 0), 0u) << message;
    EXPECT_TRUE(contains(message, part)) << message << "\nlacks: " << part;
  }
  void invalid(const std::string& part) { refuse(ErrorCode::kInvalidData, part); }
  void unsupported(const std::string& part) { refuse(ErrorCode::kUnsupported, part); }
};

TEST_F(TokenizerFields, Ids) {
  for (const json& id : {json(-1), json(1 << 24), json(1e12), json(1.5), json("1"), json(nullptr),
                         json(18446744073709551615u), json(true)}) {
    vocab_["a"] = id;
    invalid("token \"a\" has id");
  }
  vocab_["a"] = vocab_["b"];
  invalid("have the same id 65");
}

TEST_F(TokenizerFields, MergesOfBothForms) {
  model_["merges"] = json::array({"t h", json::array({"th", "e"})});
  vocab_["the"] = 300'000;
  file_["added_tokens"] = json::array();
  file_["post_processor"] = nullptr;
  const auto tokenizer = Tokenizer::parse_json(file_.dump(), "t.json");
  EXPECT_EQ(tokenizer->encode("the"), (std::vector<int32_t>{300'000}));
  EXPECT_EQ(tokenizer->n_ids(), 300'001);
  model_["merges"].insert(model_["merges"].begin(), "#version: 0.2");
  accept();
}

TEST_F(TokenizerFields, MergesThatAreWrong) {
  for (const json& merge : {json("t"), json("t h e"), json(""), json(3), json::array({"t"}),
                            json::array({"t", "h", "e"}), json::array({"t", 1}), json::object(), json(nullptr)}) {
    model_["merges"][1] = merge;
    invalid("'model.merges[1]' must be two tokens");
  }
  for (const json& merge : {json("q z"), json("nope t"), json("t nope"), json(" ")}) {
    model_["merges"][1] = merge;
    invalid("'model.merges[1]' joins");
  }
  model_["merges"] = "t h";
  invalid("'model.merges' must be an array");
}

TEST_F(TokenizerFields, OtherModels) {
  model_["type"] = "Unigram";
  unsupported("'model.type' must be \"BPE\"; found \"Unigram\"");
  model_.erase("type");
  accept();
  model_["dropout"] = 0.1;
  unsupported("'model.dropout' must be null; found 0.1");
  model_["dropout"] = 0.0;
  model_["continuing_subword_prefix"] = "##";
  unsupported("'model.continuing_subword_prefix'");
  model_["continuing_subword_prefix"] = "";
  model_["end_of_word_suffix"] = "</w>";
  unsupported("'model.end_of_word_suffix'");
  model_["end_of_word_suffix"] = nullptr;
  model_["byte_fallback"] = true;
  unsupported("'model.byte_fallback'");
  model_["byte_fallback"] = false;
  model_["ignore_merges"] = 1;
  invalid("'model.ignore_merges' must be true or false");
  model_.erase("ignore_merges");
  accept();
  for (const json& vocab : {json::array({"a"}), json::object(), json(nullptr), json(5)}) {
    vocab_ = vocab;
    invalid("'model.vocab' must be an object");
  }
}

TEST_F(TokenizerFields, NotATokenizer) {
  model_ = json::array();
  invalid("'model' must be an object");
  file_ = json::array();
  invalid("must hold a JSON object");
}

TEST_F(TokenizerFields, Normalizer) {
  file_["normalizer"] = {{"type", "NFC"}};
  unsupported("'normalizer' must be null; found \"NFC\"");
  file_["normalizer"] = "NFC";
  unsupported("'normalizer'");
  file_.erase("normalizer");
  accept();
  file_["version"] = "2.0";
  unsupported("'version'");
}

TEST_F(TokenizerFields, AddedTokens) {
  json& tokens = file_["added_tokens"];
  const json saved = tokens;
  tokens.push_back(added(271, "<x>"));
  invalid("has id 271; expected 270");
  tokens.back() = added(5, "<x>");
  invalid("has id 5; expected 270");
  tokens.back() = added(1, "a");
  invalid("has id 1; expected 64");
  tokens.back() = added(64, "a");
  accept();
  tokens.back() = added(270, "<|end_of_text|>");
  invalid("is there twice");
  tokens.back() = added(270, "");
  invalid("'added_tokens[8].content' must be 1..1024 bytes long; found 0");
  tokens.back() = added(270, std::string(1025, 'x'));
  invalid("found 1025");
  tokens.back() = {{"id", 270}};
  invalid("'added_tokens[8].content' is missing");
  tokens.back() = "x";
  invalid("'added_tokens[8]' must be an object");
  tokens.back() = added(270, "<x>");
  tokens.back()["single_word"] = true;
  unsupported("'added_tokens[8].single_word' must be false");
  tokens.back()["single_word"] = false;
  tokens.back()["lstrip"] = "yes";
  invalid("'added_tokens[8].lstrip'");
  tokens = saved;
  tokens[0]["id"] = 261;
  invalid("has id 261; expected 262");
  tokens = "x";
  invalid("'added_tokens' must be an array");
}

TEST_F(TokenizerFields, PreTokenizer) {
  const json saved = file_["pre_tokenizer"];
  split_["behavior"] = "Removed";
  unsupported("behavior' must be \"Isolated\"; found \"Removed\"");
  split_["behavior"] = "Isolated";
  split_["pattern"] = {{"String", " "}};
  unsupported("pattern' must be {\"Regex\": ...}");
  split_["pattern"] = {{"Regex", "("}};
  unsupported("does not compile");
  split_ = {{"type", "Digits"}};
  unsupported("'pre_tokenizer[0].type' must be \"Split\" or \"ByteLevel\"; found \"Digits\"");
  split_ = saved["pretokenizers"][0];
  byte_level_["add_prefix_space"] = true;
  unsupported("add_prefix_space' must be false");
  byte_level_ = saved["pretokenizers"][0];
  unsupported("must end with its only ByteLevel step");
  byte_level_ = saved["pretokenizers"][1];
  split_ = byte_level_;
  unsupported("must end with its only ByteLevel step; found it as step 1 of 2");
  file_["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", json::array()}};
  unsupported("'pre_tokenizer.pretokenizers'");
  file_["pre_tokenizer"] = nullptr;
  unsupported("'pre_tokenizer' must be Split and ByteLevel steps; found null");
  file_["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  accept();
}

TEST_F(TokenizerFields, Template) {
  const json saved = file_["post_processor"];
  json& processor = file_["post_processor"]["processors"][1];
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  processor["single"] = json::array({text});
  EXPECT_EQ(Tokenizer::parse_json(file_.dump(), "t.json")->encode_with_special_tokens("a"), (std::vector<int32_t>{64}));
  processor["single"] = json::array({text, text});
  unsupported("must have the text (sequence A) once; found it 2 times");
  processor["single"] = json::array();
  unsupported("found it 0 times");
  processor["single"] = json::array({text, {{"Sequence", {{"id", "B"}}}}});
  unsupported("special tokens and the sequence A");
  processor["single"] = json::array({text, {{"SpecialToken", {{"id", "<nothing>"}}}}});
  invalid("names \"<nothing>\", which its 'special_tokens' lack");
  processor = saved["processors"][1];
  processor["special_tokens"]["<|begin_of_text|>"]["ids"] = json::array({9'999});
  invalid("adds id 9999");
  processor["special_tokens"]["<|begin_of_text|>"]["ids"] = json::array({-1});
  invalid("has id -1");
}

TEST_F(TokenizerFields, PostProcessor) {
  const json saved = file_["post_processor"];
  file_["post_processor"]["processors"].push_back(saved["processors"][1]);
  unsupported("at most one template");
  file_["post_processor"] = {{"type", "RobertaProcessing"}};
  unsupported("found \"RobertaProcessing\"");
  file_["post_processor"] = "BOS";
  unsupported("'post_processor' must be null, ByteLevel or TemplateProcessing");
  file_["post_processor"] = saved["processors"][0];
  accept();
  file_["post_processor"] = saved["processors"][1];
  EXPECT_EQ(Tokenizer::parse_json(file_.dump(), "t.json")->encode_with_special_tokens("a"),
            (std::vector<int32_t>{262, 64, 263}));
}

}  // namespace
}  // namespace csm
