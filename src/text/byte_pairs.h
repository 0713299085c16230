// Byte-pair encoding (Sennrich et al.) over bytes that are written as printable characters, as GPT-2 did it.
//
// Place in the flow: piece of text -> token ids. Constant once built; encode() may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace csm {

// The character that stands for each byte in the tokens of a file: 33..126, 161..172 and 174..255 for themselves,
// U+0100, U+0101, ... for the others in order. UTF-8.
const std::array<std::string, 256>& byte_characters();

class BytePairs {
 public:
  using Vocabulary = std::unordered_map<std::string, int32_t>;

  // With ignore_merges a piece that is a token as a whole is that token, whatever the merges say.
  BytePairs(Vocabulary vocabulary, bool ignore_merges);
  BytePairs(const BytePairs&) = delete;  // printable() points into the vocabulary
  BytePairs& operator=(const BytePairs&) = delete;

  // The next merge, in order of preference; of equal pairs the last one counts. False when a part or the result is not
  // a token.
  bool add_merge(const std::string& left, const std::string& right);

  // Appends the ids of one piece. Lowest rank first, leftmost on equal rank; time n log n.
  // Errors: kInvalidArgument for a byte that no token stands for.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  struct Symbol {
    int32_t id;  // -1: merged into the one before it
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;
    int32_t id;
  };
  struct Later;  // orders the queue

  const Merge* find_merge(int32_t left, int32_t right) const;
  int32_t whole(std::string_view piece) const;  // -1 when the piece is not a token
  void merge_all(std::vector<Symbol>& symbols) const;

  Vocabulary vocabulary_;
  bool ignore_merges_;
  size_t longest_token_ = 0;
  uint32_t n_merges_ = 0;
  std::array<int32_t, 256> byte_ids_;
  std::unordered_map<uint64_t, Merge> merges_;  // keyed by both ids
};

}  // namespace csm
