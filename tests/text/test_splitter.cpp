// Splitting: as Hugging Face tokenizers cuts, by hand and through PCRE2; long texts; patterns that are refused.
#include "text/splitter.h"

#include "text/unicode_class.h"
#include "text_test.h"

namespace csm {
namespace {

using Pieces = std::vector<std::string_view>;

Pieces split(const Splitter& splitter, std::string_view text) {
  Pieces pieces;
  splitter.split(text, pieces);
  size_t position = 0;
  for (const std::string_view piece : pieces) {
    EXPECT_FALSE(piece.empty());
    EXPECT_EQ(piece.data(), text.data() + position) << "pieces must lie side by side";
    position += piece.size();
  }
  EXPECT_EQ(position, text.size());
  return pieces;
}

std::string repeated(const std::string& part, size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text += part;
  return text;
}

class Vectors : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { document_ = new nlohmann::json(read_json(kTests + "/text/vectors.json")); }
  static void TearDownTestSuite() { delete document_; }

  static std::string pattern(const std::string& name) {
    return document_->at("splits").at(name).at("pattern").get<std::string>();
  }

  static void check(const std::string& name, const Splitter& splitter, bool with_new_scripts) {
    auto texts = document_->at("texts").get<std::vector<std::string>>();
    if (with_new_scripts) {
      for (const auto& text : document_->at("new_texts")) texts.push_back(text.get<std::string>());
    }
    const auto& expected = document_->at("splits").at(name).at("pieces");
    ASSERT_LE(texts.size(), expected.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<size_t> lengths;
      for (const std::string_view piece : split(splitter, texts[i])) lengths.push_back(piece.size());
      EXPECT_EQ(lengths, expected[i].get<std::vector<size_t>>()) << name << ": " << texts[i];
    }
  }

  static nlohmann::json* document_;
};

nlohmann::json* Vectors::document_ = nullptr;

TEST_F(Vectors, Llama3ByHandKnowsNewScripts) { check("llama3", *make_splitter(pattern("llama3"), "x"), true); }

TEST_F(Vectors, EveryPatternThroughPcre2) {
  for (const auto& [name, split] : document_->at("splits").items())
    check(name, *make_regex_splitter(pattern(name), "x"), false);
}

TEST_F(Vectors, LongTextsOfOneKind) {
  constexpr size_t kLength = 100'000;
  const auto by_hand = make_splitter(pattern("llama3"), "x");
  const auto by_regex = make_regex_splitter(pattern("llama3"), "x");
  for (const std::string part :
       {"a", " ", "\n", " \n", "7", "'s", "'", ".", " .", "\xE6\x9D\xB1", "\xCC\x81", "\xE3\x80\x80", "a ", "\r\n\t"}) {
    for (const std::string end : {"", "x", "\r", " "}) {
      const std::string text = repeated(part, kLength / part.size()) + end;
      EXPECT_EQ(split(*by_hand, text), split(*by_regex, text)) << part << "..." << end;
    }
  }
}

TEST(Splitter, Gpt2) {
  const auto splitter = make_gpt2_splitter();
  EXPECT_EQ(split(*splitter, "we've I'LL 12345 it's  x\n\n"),
            (Pieces{"we", "'ve", " I", "'", "LL", " 12345", " it", "'s", " ", " x", "\n\n"}));
  EXPECT_TRUE(split(*splitter, "").empty());
}

TEST(Splitter, PatternsThatLibrariesReadDifferentlyAreRefused) {
  for (const char* pattern : {"\\h+", "\\w+", "\\R", "\\p{L}{1,3}+", "[a-z&&[^b]]", "[[:alpha:]]", "(?m:.)",
                              "(?<name>a)", "(*ACCEPT)", "a{,3}", "(?|a|b)", "\\bx", "[]a]", "\\1"}) {
    const std::string message = message_of(ErrorCode::kUnsupported, [&] { make_splitter(pattern, "t.json"); });
    EXPECT_TRUE(contains(message, "'t.json': the pre-tokenizer's split pattern")) << message;
  }
}

TEST(Splitter, PatternsThatDoNotCompileAreRefused) {
  for (const char* pattern : {"(", "[a", "*", "\\p{Nonsense}", "a{2,1}", "(?<=a+)b", "\\"}) {
    const std::string message = message_of(ErrorCode::kUnsupported, [&] { make_splitter(pattern, "t.json"); });
    EXPECT_TRUE(contains(message, "does not compile")) << message;
  }
  EXPECT_TRUE(contains(message_of(ErrorCode::kUnsupported, [] { make_splitter(std::string(1 << 20, 'a'), "t.json"); }),
                       "longer than"));
}

TEST(Splitter, ExplodingPatternsEndInAnError) {
  const auto splitter = make_splitter("(a+)+\\d", "t.json");
  const std::string text(5'000, 'a');
  Pieces pieces;
  const std::string message = message_of(ErrorCode::kUnsupported, [&] { splitter->split(text, pieces); });
  EXPECT_TRUE(contains(message, "failed on a text of 5000 bytes")) << message;
}

TEST(UnicodeClass, Kinds) {
  for (const char32_t c : {U'a', U'Z', U'\u00AA', U'\u0131', U'\u05D0', U'\u6771', U'\U00016D40', U'\U000323AF'}) {
    EXPECT_EQ(kind_of(c), CharKind::kLetter) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'0', U'9', U'\u00B2', U'\u0664', U'\u2163', U'\U0001E4F0'})
    EXPECT_EQ(kind_of(c), CharKind::kNumber);
  for (const char32_t c :
       {U'\t', U'\v', U'\f', U' ', U'\u0085', U'\u00A0', U'\u1680', U'\u200A', U'\u2028', U'\u3000'}) {
    EXPECT_EQ(kind_of(c), CharKind::kSpace) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'\r', U'\n'}) EXPECT_EQ(kind_of(c), CharKind::kLineBreak);
  for (const char32_t c : {U'\0', U'\x1C', U'\x7F', U'\u180E', U'\u200B', U'\uFEFF', U'\u0301', U'\U0001F600',
                           U'\U000E0001', U'\U0010FFFF'}) {
    EXPECT_EQ(kind_of(c), CharKind::kOther) << static_cast<uint32_t>(c);
  }
}

}  // namespace
}  // namespace csm
