// Text -> token ids by a SentencePiece model, through libsentencepiece. Control pieces (<s>, </s>, ...) and the unknown piece are
// recognised when they stand in the text, as the tokenizer.json of such a model does; what follows one goes on in the same text, so
// it gets no blank in front.
//
// Place in the flow: tokenizer.model -> Tokenizer. Immutable after load; encode() may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace csm {

// Errors: those of read_sentence_piece_model.
std::unique_ptr<Tokenizer> make_sentence_piece_tokenizer(std::string_view bytes, const std::string& where);

}  // namespace csm
