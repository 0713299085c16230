// Text -> what TokenizeResult says of it; shared by the engine and by tokenize() on files. Stateless; any thread.
#pragma once

#include <string_view>

#include <csm/engine.h>

#include "text/tokenizer.h"

namespace csm {

// Errors: kInvalidArgument when the text is not valid UTF-8.
TokenizeResult tokenize_text(const Tokenizer& tokenizer, std::string_view text);

}  // namespace csm
