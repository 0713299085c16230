// UTF-8: validation of text that comes from outside (command line, files, JSON), and decoding of what is valid.
//
// Place in the flow: base; used by io, text and engine before anything reads the text. No state; thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

namespace csm {

// Offset of the first byte that starts no well-formed UTF-8 sequence (RFC 3629: shortest forms only, no surrogates, at
// most U+10FFFF), or std::string_view::npos when all of the text is valid.
size_t first_invalid_utf8(std::string_view text);

// The code point that starts at position, which moves on to the next one. Text must be valid and position within it.
char32_t next_code_point(std::string_view text, size_t& position);

}  // namespace csm
