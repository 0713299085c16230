#include "text/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/unicode_class.h"

namespace csm {
namespace {

// Where the white space that ends at `end` begins, but not before `start`.
size_t white_space_before(std::string_view text, size_t start, size_t end) {
  while (end > start) {
    size_t previous = end - 1;
    while (previous > start && (static_cast<unsigned char>(text[previous]) & 0xC0u) == 0x80u) --previous;
    size_t position = previous;
    if (!is_white_space(kind_of(next_code_point(text, position)))) break;
    end = previous;
  }
  return end;
}

size_t after_white_space(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t next = begin;
    if (!is_white_space(kind_of(next_code_point(text, next)))) break;
    begin = next;
  }
  return begin;
}

}  // namespace

void AddedTokens::Trie::insert(std::string_view content, int32_t token) {
  starts[static_cast<unsigned char>(content[0])] = true;
  uint32_t node = 0;
  for (const char c : content) {
    const auto [child, is_new] =
        children.try_emplace({node, static_cast<unsigned char>(c)}, static_cast<uint32_t>(token_at.size()));
    if (is_new) token_at.push_back(-1);
    node = child->second;
  }
  token_at[node] = token;
}

int32_t AddedTokens::Trie::longest_at(std::string_view text, size_t position) const {
  if (!starts[static_cast<unsigned char>(text[position])]) return -1;
  int32_t longest = -1;
  uint32_t node = 0;
  for (; position < text.size(); ++position) {
    const auto child = children.find({node, static_cast<unsigned char>(text[position])});
    if (child == children.end()) break;
    node = child->second;
    if (token_at[node] >= 0) longest = token_at[node];
  }
  return longest;
}

void AddedTokens::add(AddedToken token) {
  (token.normalized ? normalized_ : exact_).insert(token.content, static_cast<int32_t>(tokens_.size()));
  tokens_.push_back(std::move(token));
}

void AddedTokens::find_in(const Trie& trie, std::string_view text, std::vector<TextPart>& parts) const {
  size_t done = 0;             // parts hold the text up to here
  size_t white_space_end = 0;  // from the last token that swallows to its right up to here
  for (size_t position = 0; position < text.size();) {
    const int32_t index = trie.longest_at(text, position);
    if (index < 0) {
      ++position;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    const std::string_view content = text.substr(position, token.content.size());
    size_t begin = position;
    position += content.size();  // white space on the right is searched again, as tokenizers does
    if (token.strips_right) white_space_end = after_white_space(text, std::max(position, white_space_end));
    const size_t end = token.strips_right ? white_space_end : position;
    if (token.strips_left) {
      if (end <= done) continue;  // white space that the token before has swallowed
      begin = white_space_before(text, std::min(done, begin), begin);
    }
    if (begin > done) parts.push_back({text.substr(done, begin - done), -1});
    parts.push_back({content, token.id});
    done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
}

std::vector<TextPart> AddedTokens::find(std::string_view text) const {
  std::vector<TextPart> exact;
  find_in(exact_, text, exact);
  if (normalized_.token_at.size() == 1) return exact;
  std::vector<TextPart> parts;
  for (const TextPart& part : exact) {
    if (part.id >= 0) {
      parts.push_back(part);
    } else {
      find_in(normalized_, part.text, parts);
    }
  }
  return parts;
}

}  // namespace csm
