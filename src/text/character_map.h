// The compiled normalisation rules of a SentencePiece model (precompiled_charsmap): u32 size of a double-array trie in bytes, the trie,
// then the replacements, each ended by a zero byte. A unit of the trie holds an offset, a label, a flag for a value, or the value.
//
// Place in the flow: tokenizer.model -> checked here -> libsentencepiece, which follows the trie's offsets wherever they lead.
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace csm {

// Longest replacement; Unicode's own are up to 33 bytes.
inline constexpr size_t kMaxReplacementBytes = 64;

// Errors: kInvalidData when any key leads outside the trie, in a circle or deeper than a rule is long, when a value is no start of a
// replacement, or when a replacement is too long or not UTF-8. `where` is the path for messages.
void check_character_map(std::string_view map, const std::string& where);

// A map without rules: libsentencepiece prints a line when there is none.
std::string empty_character_map();

}  // namespace csm
