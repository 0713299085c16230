// The parts of a tokenizer.json (Hugging Face tokenizers, version 1.0), read and checked:
//   added_tokens    ids that are recognised in the raw text
//   normalizer      null
//   pre_tokenizer   Split(Regex, Isolated) steps and one ByteLevel
//   model           BPE: vocab {token: id}, merges ["a b", ...] or [["a", "b"], ...]
//   post_processor  TemplateProcessing: what goes before and after a text
// decoder, truncation and padding are not looked at: nothing is decoded here, and the length is the caller's business.
//
// Place in the flow: tokenizer.json -> these parts -> Tokenizer, which owns them. Stateless; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_pairs.h"
#include "text/splitter.h"
#include "text/tokenizer.h"

namespace csm {

struct TokenizerParts {
  std::unique_ptr<BytePairs> pairs;
  AddedTokens added;
  std::unordered_map<std::string, int32_t> added_ids;
  std::unordered_map<int32_t, std::string_view> names;  // the token of each id; points into the two above
  std::vector<std::unique_ptr<Splitter>> splitters;     // one after the other
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

// Errors: kInvalidData (not what the format asks for: the field and what was found), kUnsupported (another kind of
// tokenizer).
TokenizerParts read_tokenizer_parts(std::string_view text, const std::string& where);

}  // namespace csm
