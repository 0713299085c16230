// UTF-8 validation for text that comes from outside (command line, files, JSON).
//
// Place in the flow: base; used by text and engine before tokenising. No state; thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

namespace csm {

// Offset of the first byte that starts no well-formed UTF-8 sequence (RFC 3629: shortest forms only, no surrogates, at
// most U+10FFFF), or std::string_view::npos when all of the text is valid.
size_t first_invalid_utf8(std::string_view text);

}  // namespace csm
