// Added tokens in raw text: leftmost and longest, in two rounds, with the white space that they swallow.
#include "text/added_tokens.h"

#include <fmt/format.h>

#include "text_test.h"

namespace csm {
namespace {

// "plain", "<5>", ...: the parts as text.
std::vector<std::string> parts(const AddedTokens& tokens, std::string_view text) {
  std::vector<std::string> result;
  for (const TextPart& part : tokens.find(text)) {
    result.push_back(part.id < 0 ? std::string(part.text) : fmt::format("<{}>", part.id));
  }
  return result;
}

using Strings = std::vector<std::string>;

TEST(AddedTokens, LeftmostThenLongest) {
  AddedTokens tokens;
  tokens.add({1, "ab", false, false, false});
  tokens.add({2, "abcd", false, false, false});
  tokens.add({3, "bcd", false, false, false});
  EXPECT_EQ(parts(tokens, "xabcdabcbcd"), (Strings{"x", "<2>", "<1>", "c", "<3>"}));
  EXPECT_EQ(parts(tokens, "abc"), (Strings{"<1>", "c"})) << "the longer one does not end";
  EXPECT_EQ(parts(tokens, "a"), Strings{"a"});
  EXPECT_TRUE(parts(tokens, "").empty());
  EXPECT_EQ(parts(AddedTokens(), "ab"), Strings{"ab"});
}

TEST(AddedTokens, NormalizedOnesComeSecond) {
  AddedTokens tokens;
  tokens.add({1, "abcd", false, false, true});
  tokens.add({2, "cd", false, false, false});
  tokens.add({3, "ab", false, false, true});
  EXPECT_EQ(parts(tokens, "abcd"), (Strings{"<3>", "<2>"}));
}

TEST(AddedTokens, SwallowWhiteSpace) {
  AddedTokens tokens;
  tokens.add({1, "L", true, false, false});
  tokens.add({2, "R", false, true, false});
  tokens.add({3, "B", true, true, false});
  EXPECT_EQ(parts(tokens,
                  "a \xE3\x80\x80L b R \n\xC2\x85"
                  "c B d"),
            (Strings{"a", "<1>", " b ", "<2>", "c", "<3>", "d"}));
  EXPECT_EQ(parts(tokens, "R  L  L"), (Strings{"<2>", "<1>", "<1>"})) << "white space is given out once";
  EXPECT_EQ(parts(tokens, "  B  "), Strings{"<3>"});
}

TEST(AddedTokens, ManyFalseStarts) {
  AddedTokens tokens;
  for (int i = 0; i < 256; ++i) tokens.add({i, fmt::format("<|reserved_special_token_{}|>", i), false, false, false});
  std::string text;
  for (int i = 0; i < 4'000; ++i) text += "<|reserved_special_token_2";
  EXPECT_EQ(parts(tokens, text), Strings{text});
  EXPECT_EQ(parts(tokens, text + "55|>").back(), "<255>");
}

}  // namespace
}  // namespace csm
