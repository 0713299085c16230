// UTF-8: every well-formed sequence is accepted and decoded, every malformed one is found where it starts.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace csm {
namespace {

// The definition, written from the tables of RFC 3629 in another way: by value.
std::string encoded(uint32_t c) {
  const auto tail = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(c)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(c >> 6), tail(c)};
  return {static_cast<char>(0xF0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
}

TEST(Utf8, EveryCodePoint) {
  for (uint32_t c = 0; c <= 0x110FFF; ++c) {
    const std::string text = encoded(c);
    const bool valid = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
    ASSERT_EQ(first_invalid_utf8(text), valid ? std::string_view::npos : 0u) << c;
    if (!valid) continue;
    size_t position = 0;
    ASSERT_EQ(static_cast<uint32_t>(next_code_point(text, position)), c);
    ASSERT_EQ(position, text.size());
  }
}

TEST(Utf8, EveryPairOfBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      size_t expected = std::string_view::npos;
      const bool pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      if (!pair && first >= 0x80) expected = 0;
      if (!pair && first < 0x80 && second >= 0x80) expected = 1;
      ASSERT_EQ(first_invalid_utf8(text), expected) << first << " " << second;
    }
  }
}

TEST(Utf8, MalformedSequences) {
  for (const char* bytes :
       {"\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFE", "\xFF", "\x80", "\xE2\x82", "\xE2\x28\xA1", "\xF0\x9F\x98", "\xF0\x9F\x28\x80"}) {
    EXPECT_EQ(first_invalid_utf8(std::string("a\xC3\xA9") + bytes), 3u);
    EXPECT_EQ(first_invalid_utf8(std::string("a\xC3\xA9") + bytes + "z"), 3u);
  }
  EXPECT_EQ(first_invalid_utf8(""), std::string_view::npos);
}

TEST(Utf8, DecodesOneAfterTheOther) {
  const std::string text = "a\xC3\xA9\xE6\x9D\xB1\xF0\x9F\x98\x80";
  std::u32string decoded;
  for (size_t position = 0; position < text.size();) decoded += next_code_point(text, position);
  EXPECT_EQ(decoded, std::u32string({0x61, 0xE9, 0x6771, 0x1F600}));
}

}  // namespace
}  // namespace csm
