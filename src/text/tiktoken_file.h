// The tokenizer.model that Llama 3 is published with, in the form of tiktoken: each line holds the bytes of a token in base64, a
// space and its rank, which is its id. Merges are not in the file: a pair merges when the bytes of both are a token, lowest rank
// first. Neither are the split pattern (Llama 3's) and the 256 special tokens, which have the ids after the last rank.
//
// Place in the flow: tokenizer.model -> these parts -> Tokenizer. Stateless; any thread.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer_file.h"

namespace csm {

inline constexpr int kLlama3SpecialTokens = 256;

// Whether bytes begin with a line of this form.
bool is_tiktoken_file(std::string_view bytes);

// As many of the special tokens as ids below n_rows allow, but at least the two that stand around a text. `where` is the path for
// messages. Errors: kInvalidData with the line: not base64, not a rank, a rank or a token twice, a gap in the ranks.
TokenizerParts read_tiktoken_parts(std::string_view bytes, const std::string& where, int n_rows);

}  // namespace csm
