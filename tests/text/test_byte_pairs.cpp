// Byte-pair merges: order, ties, whole pieces, and what long pieces of one letter give.
#include "text/byte_pairs.h"

#include <set>

#include "text_test.h"

namespace csm {
namespace {

using Ids = std::vector<int32_t>;

BytePairs::Vocabulary vocabulary(const std::vector<std::string>& more) {
  BytePairs::Vocabulary result;
  for (const std::string& character : byte_characters()) result.emplace(character, static_cast<int32_t>(result.size()));
  for (const std::string& token : more) result.emplace(token, static_cast<int32_t>(result.size()));
  return result;
}

std::string tokens(const BytePairs& pairs, std::string_view piece) {
  Ids ids;
  pairs.encode(piece, ids);
  std::string result;
  for (const int32_t id : ids) {
    for (const auto& [token, known] : pairs.vocabulary()) {
      if (known == id) result += (result.empty() ? "" : "|") + token;
    }
  }
  return result;
}

TEST(BytePairs, ByteCharacters) {
  const auto& characters = byte_characters();
  EXPECT_EQ(characters['A'], "A");
  EXPECT_EQ(characters[' '], "\xC4\xA0");   // U+0120
  EXPECT_EQ(characters[0], "\xC4\x80");     // U+0100
  EXPECT_EQ(characters[0xA1], "\xC2\xA1");  // itself
  EXPECT_EQ(characters[0xAD], "\xC5\x83");  // U+0143, the last substitute
  EXPECT_EQ(std::set<std::string>(characters.begin(), characters.end()).size(), 256u);
}

TEST(BytePairs, LowestRankFirstThenLeftmost) {
  BytePairs pairs(vocabulary({"ab", "bc", "abc", "aa", "aaaa"}), false);
  EXPECT_TRUE(pairs.add_merge("b", "c"));
  EXPECT_TRUE(pairs.add_merge("a", "b"));
  EXPECT_TRUE(pairs.add_merge("a", "bc"));
  EXPECT_TRUE(pairs.add_merge("a", "a"));
  EXPECT_TRUE(pairs.add_merge("aa", "aa"));
  EXPECT_EQ(tokens(pairs, "abc"), "abc");
  EXPECT_EQ(tokens(pairs, "abab"), "ab|ab");
  EXPECT_EQ(tokens(pairs, "aaa"), "aa|a");
  EXPECT_EQ(tokens(pairs, "aaaaaaa"), "aaaa|aa|a");
  EXPECT_FALSE(pairs.add_merge("a", "nope"));
  EXPECT_FALSE(pairs.add_merge("a", "c")) << "the result is not a token";
}

TEST(BytePairs, WholePieces) {
  BytePairs without(vocabulary({"ab", "abc"}), false);
  BytePairs with(vocabulary({"ab", "abc"}), true);
  EXPECT_TRUE(without.add_merge("a", "b"));
  EXPECT_TRUE(with.add_merge("a", "b"));
  EXPECT_EQ(tokens(without, "abc"), "ab|c");
  EXPECT_EQ(tokens(with, "abc"), "abc");
  EXPECT_EQ(tokens(with, "abcab"), "ab|c|ab");
}

// Doubling merges make a run of 2^17 letters one token, through every level of the queue.
TEST(BytePairs, AHugePiece) {
  std::vector<std::string> runs;
  for (size_t length = 2; length <= 1 << 17; length *= 2) runs.emplace_back(length, 'a');
  BytePairs pairs(vocabulary(runs), false);
  for (const std::string& run : runs)
    ASSERT_TRUE(pairs.add_merge(run.substr(run.size() / 2), run.substr(run.size() / 2)));
  Ids ids;
  pairs.encode(std::string(1 << 17, 'a'), ids);
  EXPECT_EQ(ids, Ids{pairs.vocabulary().at(runs.back())});
  ids.clear();
  pairs.encode(std::string((1 << 17) - 1, 'a'), ids);
  EXPECT_EQ(ids.size(), 17u);
}

}  // namespace
}  // namespace csm
