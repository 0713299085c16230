// What every tokenizer asks of a text before it reads it. Stateless; any thread.
#pragma once

#include <string_view>

namespace csm {

// Errors: kInvalidArgument when the text is longer than max_bytes or not valid UTF-8 (says at which byte).
void check_text(std::string_view text, size_t max_bytes);

}  // namespace csm
