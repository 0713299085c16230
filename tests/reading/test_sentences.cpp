// Where sentences end, and what of a text never changes.
#include <csm/text.h>

#include <random>

#include "reading_test.h"
#include "text_properties.h"

namespace csm {
namespace {

// The sentences of a text in which | stands where one must end.
void expect_sentences(const std::string& marked) {
  std::vector<std::string> expected;
  std::string text;
  for (size_t begin = 0; begin <= marked.size();) {
    const size_t end = std::min(marked.find('|', begin), marked.size());
    std::string part = marked.substr(begin, end - begin);
    text += part;
    part.erase(0, part.find_first_not_of(' '));
    if (!part.empty()) expected.push_back(part);
    begin = end + 1;
  }
  EXPECT_EQ(split_sentences(text), expected);
}

TEST(Sentences, Abbreviations) {
  expect_sentences("Dr. Smith met Mr. and Mrs. Brown.| Prof. X and St. Mary came vs. Gen. Lee.");
  expect_sentences("The U.S. Navy came.| I live in the U.S.| The end.");
  expect_sentences("Cats, dogs, etc. are here, e.g. this one, i.e. that one.| Fig. 3 and No. 5 are alive.| No.| That is wrong.");
  expect_sentences("It was 3 p.m. on Jan. 5.| We met Acme Inc. today.");
}

TEST(Sentences, InitialsNumbersAndLists) {
  expect_sentences("J. R. R. Tolkien wrote 3.5 books, or 1,234.56.| So do I.| Then we stop.");
  expect_sentences("1. First item.| 2. Second item.");
}

TEST(Sentences, QuotesAndEllipses) {
  expect_sentences("He said \"Stop!\" and left.| \"Really?\" she asked.| \"Yes.\"| (It works.)| Done!!| Well?!");
  expect_sentences("He nodded... and went...| Then what?| Wait\xE2\x80\xA6 what?| Well\xE2\x80\xA6| Then it broke.");
}

TEST(Sentences, AddressesAndScripts) {
  expect_sentences("Visit www.example.com.| Or https://a.b/c.d?e.| Now.");
  expect_sentences("\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\xBE\x88\xE5\xA5\xBD\xEF\xBC\x81|\xE4\xBD\xA0\xE5\x91\xA2\xEF\xBC\x9F");
  expect_sentences("\xE3\x80\x8C\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D|\xE3\x81\xA8\xE8\xA8\x80\xE3\x81\xA3\xE3\x81\x9F\xE3\x80\x82");
}

TEST(Sentences, ParagraphsEndThem) {
  EXPECT_EQ(split_sentences("A title\n\nThe text\ngoes on. End"), (std::vector<std::string>{"A title", "The text\ngoes on.", "End"}));
  EXPECT_TRUE(split_sentences(" \n\t ").empty());
  EXPECT_TRUE(split_sentences("").empty());
}

TEST(Sentences, InvalidUtf8SaysWhere) {
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [] { split_sentences("ok \xC3"); }), "at byte 3 (0xC3)"));
}

// Random strings of what texts are made of, and of any bytes.
TEST(Text, PropertiesOfRandomStrings) {
  const std::vector<std::string> parts = {
      "the",  "Dr",   ".",  ". ",  "!",   "?",     " ",   "  ",    "\n",   "\n\n", "5",  "12",   "1999", ",",           "-",           "$",
      "%",    "km",   "pm", ":",   "/",   "March", "3rd", "Henry", "VIII", "Part", "St", "Main", "@",    "example.com", "https://a.b", "&",
      "+",    "=",    "#",  "\"",  "'",   "(",     ")",   "\xE3\x80\x82", "\xE6\x9D\xB1", "\xF0\x9F\x98\x80", "\xE2\x80\xA6", "\xC2\xBD",
      "\xE2\x80\x8D", "\xEF\xB8\x8F", "o'clock", "a.m.", "U.S.", "No.", "A", "i", "x", "und", "der", "\xC3\xA9", "\xC2\xA0", "0", "half", "million"};
  std::mt19937 random(20261127);
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  for (int i = 0; i < 4000; ++i) {
    std::string text;
    const size_t n_parts = 1 + below(24);
    for (size_t n = 0; n < n_parts; ++n) text += i % 8 == 7 ? std::string(1, static_cast<char>(below(256))) : parts[below(parts.size())];
    const std::string broken = broken_property(text);
    ASSERT_EQ(broken, "") << text;
  }
}

}  // namespace
}  // namespace csm
