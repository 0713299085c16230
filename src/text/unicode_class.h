// What a code point is for a tokenizer's split pattern: letter, number, white space, line break or anything else.
//
// Place in the flow: text; the hand-written splitters ask once per code point. The table is Unicode 16.0, that of
// Hugging Face tokenizers 0.23 and tiktoken 0.14: the regex library of the system may know another version and would
// split new scripts otherwise. No state; thread-safe.
#pragma once

#include <cstdint>

namespace csm {

enum class CharKind : uint8_t {
  kOther,
  kLetter,     // \p{L}
  kNumber,     // \p{N}
  kSpace,      // \s but CR and LF
  kLineBreak,  // CR, LF
};

CharKind kind_of(char32_t code_point);

// The property White_Space: \s.
inline bool is_white_space(CharKind kind) { return kind == CharKind::kSpace || kind == CharKind::kLineBreak; }

}  // namespace csm
