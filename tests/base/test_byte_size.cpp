#include "base/byte_size.h"

#include <gtest/gtest.h>

#include <csm/error.h>

#include "base/damage_digest.h"

namespace csm {
namespace {

TEST(ByteSize, UnitsArePowersOf1024) {
  EXPECT_EQ(parse_byte_size("0", "size"), 0u);
  EXPECT_EQ(parse_byte_size("1048576", "size"), 1048576u);
  EXPECT_EQ(parse_byte_size("10B", "size"), 10u);
  EXPECT_EQ(parse_byte_size("1k", "size"), 1024u);
  EXPECT_EQ(parse_byte_size("512M", "size"), uint64_t{512} << 20);
  EXPECT_EQ(parse_byte_size("16GB", "size"), uint64_t{16} << 30);
  EXPECT_EQ(parse_byte_size("2TiB", "size"), uint64_t{2} << 40);
}

TEST(ByteSize, NamesWhatItCannotRead) {
  for (const char* text : {"", "M", "-1", "1.5G", "1X", "1MM", "1 G", "G1", "99999999999999999999", "18446744073709551615K"}) {
    try {
      (void)parse_byte_size(text, "the limit");
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("the limit is '" + std::string(text) + "'"), std::string::npos);
    }
  }
}

TEST(DamageDigest, NoticesEveryBitAndLength) {
  const std::string text(200, 'x');
  const uint64_t digest = damage_digest(text);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(damage_digest(changed), digest) << bit;
  }
  EXPECT_NE(damage_digest(text + std::string(1, '\0')), digest);
  EXPECT_NE(damage_digest(text.substr(1)), digest);
  EXPECT_NE(damage_digest(std::string()), damage_digest(std::string(1, '\0')));
}

TEST(DamageDigest, NoticesExchangedWords) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += std::string(8, static_cast<char>('0' + i));
  for (const size_t distance : {8u, 64u, 128u}) {
    std::string changed = text;
    for (size_t i = 0; i < 8; ++i) std::swap(changed[i], changed[i + distance]);
    EXPECT_NE(damage_digest(changed), damage_digest(text)) << distance;
  }
}

}  // namespace
}  // namespace csm
