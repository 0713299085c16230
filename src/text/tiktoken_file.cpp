#include "text/tiktoken_file.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/fail.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr size_t kMaxTokenBytes = 256;  // twice what Llama 3 has; finding the merges of a token takes its length squared
constexpr int kFirstReserved = 3;       // of those that have numbers only

struct SpecialName {
  int offset;  // after the last rank
  const char* name;
};
// Llama 3.2's, and for two ids the names that CSM's tokenizer.json has for them: both are known, the first one is shown.
constexpr SpecialName kNamed[] = {{0, "<|begin_of_text|>"},
                                  {1, "<|end_of_text|>"},
                                  {2, "<|AUDIO|>"},
                                  {2, "<|reserved_special_token_0|>"},
                                  {3, "<|audio_eos|>"},
                                  {3, "<|reserved_special_token_1|>"},
                                  {4, "<|finetune_right_pad_id|>"},
                                  {5, "<|reserved_special_token_2|>"},
                                  {6, "<|start_header_id|>"},
                                  {7, "<|end_header_id|>"},
                                  {8, "<|eom_id|>"},
                                  {9, "<|eot_id|>"},
                                  {10, "<|python_tag|>"}};
constexpr int kAfterNamed = 11;

struct Line {
  std::string token;  // bytes
  int32_t rank = 0;
};

// Value of a character of base64; -1 for another one.
int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// False unless text is whole groups of four, padded at the end only, with no stray bits.
bool decode_base64(std::string_view text, std::string& bytes) {
  if (text.empty() || text.size() % 4 != 0) return false;
  const size_t n_padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text.substr(0, text.size() - n_padding)) {
    const int value = base64_value(c);
    if (value < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(bits >> n_bits & 0xFFu);
  }
  return (bits & ((1u << n_bits) - 1)) == 0;
}

bool parse_line(std::string_view text, Line& line) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || !decode_base64(text.substr(0, space), line.token)) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + space + 1, end, line.rank);
  return error == std::errc() && stop == end && line.rank >= 0;
}

// The line at position, which moves on to the next one.
std::string_view next_line(std::string_view text, size_t& position) {
  const size_t end = std::min(text.find('\n', position), text.size());
  std::string_view line = text.substr(position, end - position);
  position = end + 1;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// The tokens in the order of their ranks, each as its bytes.
std::vector<std::string> read_ranks(std::string_view bytes, const std::string& where) {
  std::vector<std::string> tokens;
  size_t n_tokens = 0;
  int n_line = 0;
  for (size_t position = 0; position < bytes.size();) {
    const std::string_view text = next_line(bytes, position);
    ++n_line;
    if (text.empty()) continue;
    Line line;
    if (!parse_line(text, line) || line.rank > kMaxTokenId || line.token.size() > kMaxTokenBytes) {
      fail(ErrorCode::kInvalidData, "'{}' line {}: expected a token of at most {} bytes in base64, a space and its rank in 0..{}; found {}",
           where, n_line, kMaxTokenBytes, kMaxTokenId, brief(nlohmann::json(std::string(text.substr(0, 80)))));
    }
    const auto rank = static_cast<size_t>(line.rank);
    // A rank beyond all lines leaves a gap; this bound keeps it from taking memory.
    if (rank > bytes.size() / 6) fail(ErrorCode::kInvalidData, "'{}' line {}: rank {} leaves a gap before it", where, n_line, rank);
    if (rank >= tokens.size()) tokens.resize(rank + 1);
    if (!tokens[rank].empty()) fail(ErrorCode::kInvalidData, "'{}' line {}: rank {} is there twice", where, n_line, rank);
    tokens[rank] = std::move(line.token);
    ++n_tokens;
  }
  if (n_tokens != tokens.size()) {
    fail(ErrorCode::kInvalidData, "'{}' has {} tokens with ranks up to {}; expected every rank from 0 on, without a gap", where, n_tokens,
         tokens.size() - 1);
  }
  return tokens;
}

std::string in_characters(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += byte_characters()[static_cast<unsigned char>(byte)];
  return text;
}

// Every way to put a token together from two others, by its rank, then by those of its parts: the merges that a tokenizer.json of
// the same vocabulary lists.
void add_merges(const std::vector<std::string>& tokens, BytePairs& pairs) {
  std::unordered_map<std::string_view, int32_t> ranks;
  ranks.reserve(tokens.size());
  for (size_t rank = 0; rank < tokens.size(); ++rank) ranks.emplace(tokens[rank], static_cast<int32_t>(rank));
  for (const std::string_view token : tokens) {
    std::vector<std::array<int32_t, 2>> splits;
    for (size_t i = 1; i < token.size(); ++i) {
      const auto left = ranks.find(token.substr(0, i));
      if (left == ranks.end()) continue;
      const auto right = ranks.find(token.substr(i));
      if (right != ranks.end()) splits.push_back({left->second, right->second});
    }
    std::sort(splits.begin(), splits.end());
    for (const auto& [left, right] : splits) {
      pairs.add_merge(in_characters(tokens[static_cast<size_t>(left)]), in_characters(tokens[static_cast<size_t>(right)]));
    }
  }
}

void add_special(int32_t id, const std::string& name, TokenizerParts& parts) {
  AddedToken token;
  token.id = id;
  token.content = name;
  parts.added.add(token);
  const auto added = parts.added_ids.emplace(name, id).first;
  parts.names.emplace(id, added->first);
}

}  // namespace

bool is_tiktoken_file(std::string_view bytes) {
  bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
  size_t position = 0;
  Line line;
  return parse_line(next_line(bytes.substr(0, 2 * kMaxTokenBytes), position), line);
}

TokenizerParts read_tiktoken_parts(std::string_view bytes, const std::string& where, int n_rows) {
  const std::vector<std::string> tokens = read_ranks(bytes, where);
  BytePairs::Vocabulary vocabulary;
  vocabulary.reserve(tokens.size());
  for (size_t rank = 0; rank < tokens.size(); ++rank) {
    const auto [known, is_new] = vocabulary.emplace(in_characters(tokens[rank]), static_cast<int32_t>(rank));
    if (!is_new) {
      fail(ErrorCode::kInvalidData, "'{}': the ranks {} and {} have the same token {}; tokens must be unique", where, known->second, rank,
           brief(nlohmann::json(known->first)));
    }
  }
  TokenizerParts parts;
  parts.pairs = std::make_unique<BytePairs>(std::move(vocabulary), true);
  add_merges(tokens, *parts.pairs);
  for (const auto& [token, id] : parts.pairs->vocabulary()) parts.names.emplace(id, token);
  parts.splitters.push_back(make_llama3_splitter());
  const auto first = static_cast<int32_t>(tokens.size());
  const int n_special = std::clamp(n_rows - first, 2, kLlama3SpecialTokens);
  for (const auto& [offset, name] : kNamed) {
    if (offset < n_special) add_special(first + offset, name, parts);
  }
  for (int offset = kAfterNamed; offset < n_special; ++offset) {
    add_special(first + offset, fmt::format("<|reserved_special_token_{}|>", offset - kAfterNamed + kFirstReserved), parts);
  }
  parts.prefix = {first};
  parts.suffix = {first + 1};
  return parts;
}

}  // namespace csm
