#include "text/byte_pairs.h"

#include <algorithm>
#include <queue>

#include "base/fail.h"

namespace csm {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

std::array<std::string, 256> make_byte_characters() {
  std::array<std::string, 256> characters;
  unsigned next_substitute = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const unsigned code_point = printable ? byte : next_substitute++;
    if (code_point < 0x80) {
      characters[byte] = std::string(1, static_cast<char>(code_point));
    } else {
      characters[byte] = {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3F))};
    }
  }
  return characters;
}

}  // namespace

const std::array<std::string, 256>& byte_characters() {
  static const std::array<std::string, 256> characters = make_byte_characters();
  return characters;
}

// Whether a comes after b. Ranks are unique per pair; the position decides between equal pairs.
struct BytePairs::Later {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
};

BytePairs::BytePairs(Vocabulary vocabulary, bool ignore_merges)
    : vocabulary_(std::move(vocabulary)), ignore_merges_(ignore_merges) {
  for (const auto& [token, id] : vocabulary_) longest_token_ = std::max(longest_token_, token.size());
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const auto found = vocabulary_.find(byte_characters()[byte]);
    byte_ids_[byte] = found == vocabulary_.end() ? -1 : found->second;
  }
  merges_.reserve(3 * vocabulary_.size());
}

bool BytePairs::add_merge(const std::string& left, const std::string& right) {
  const auto left_token = vocabulary_.find(left);
  const auto right_token = vocabulary_.find(right);
  const auto merged = vocabulary_.find(left + right);
  if (left_token == vocabulary_.end() || right_token == vocabulary_.end() || merged == vocabulary_.end()) return false;
  merges_[pair_key(left_token->second, right_token->second)] = {n_merges_++, merged->second};
  return true;
}

const BytePairs::Merge* BytePairs::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

int32_t BytePairs::whole(std::string_view piece) const {
  if (piece.size() > longest_token_) return -1;
  std::string token;
  for (const char c : piece) token += byte_characters()[static_cast<unsigned char>(c)];
  const auto found = vocabulary_.find(token);
  return found == vocabulary_.end() ? -1 : found->second;
}

void BytePairs::merge_all(std::vector<Symbol>& symbols) const {
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue;
  const auto consider = [&](int32_t left) {
    const Symbol& symbol = symbols[static_cast<size_t>(left)];
    const Merge* merge = find_merge(symbol.id, symbols[static_cast<size_t>(symbol.next)].id);
    if (merge != nullptr) queue.push({merge->rank, left, merge->id});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) consider(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<size_t>(candidate.position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    // Stale when a neighbour has changed since. Only the result is compared, as tokenizers does.
    const Merge* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->id != candidate.id) continue;
    left.id = candidate.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = candidate.position;
    if (left.previous >= 0) consider(left.previous);
    if (left.next >= 0) consider(candidate.position);
  }
}

void BytePairs::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t id = whole(piece); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte_ids_[byte] < 0) {
      fail(ErrorCode::kInvalidArgument,
           "the text has the byte 0x{:02X}, for which the tokenizer has no token; use another text or "
           "a tokenizer with all 256 bytes",
           byte);
    }
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({byte_ids_[byte], position - 1, position + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  merge_all(symbols);
  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next)
    ids.push_back(symbols[static_cast<size_t>(i)].id);
}

}  // namespace csm
