// Tokens that are recognised in the raw text before anything else: special tokens and others that were added to a
// vocabulary.
//
// Place in the flow: text -> (added token | stretch of plain text)... -> splitter. Filled while a tokenizer is loaded,
// constant afterwards; find() may be called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

// In the terms of tokenizer.json.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool strips_left = false;   // lstrip: swallows the white space before it
  bool strips_right = false;  // rstrip: swallows the white space after it
  bool normalized = false;    // looked for only where no other token was found first
};

struct TextPart {
  std::string_view text;
  int32_t id = -1;  // of the added token; -1: plain text, not empty
};

inline constexpr size_t kMaxAddedTokenBytes = 1024;

class AddedTokens {
 public:
  // The content is not empty, at most kMaxAddedTokenBytes long, and new.
  void add(AddedToken token);
  // Cuts the text at the added tokens in it: leftmost first, the longest of those that start at the same place; first
  // those that are not `normalized`, then, between them, the others. Text must be valid UTF-8.
  std::vector<TextPart> find(std::string_view text) const;

 private:
  // A trie over bytes. Node 0 is the root; children are keyed by node and byte.
  struct Trie {
    std::map<std::pair<uint32_t, unsigned char>, uint32_t> children;
    std::vector<int32_t> token_at = {-1};  // per node: index into tokens_, -1 where none ends
    bool starts[256] = {};                 // bytes that leave the root

    void insert(std::string_view content, int32_t token);
    int32_t longest_at(std::string_view text, size_t position) const;  // index into tokens_, -1 if none
  };

  void find_in(const Trie& trie, std::string_view text, std::vector<TextPart>& parts) const;

  std::vector<AddedToken> tokens_;
  Trie exact_;
  Trie normalized_;
};

}  // namespace csm
