// The vocabulary in GGUF metadata (tokenizer.ggml.*) -> a tokenizer.json, for files that carry no tokenizer of their own.
//
// Place in the flow: published GGUF set -> (here) -> Tokenizer. Stateless; any thread.
#pragma once

#include <string>

#include "io/gguf.h"

namespace csm {

bool has_vocabulary(const GgufFile& file);

// Byte-level BPE of the Llama-3 kind ("gpt2" model, "llama-bpe" splitting). Errors: kUnsupported for another kind, kInvalidData.
std::string tokenizer_json(const GgufFile& file);

}  // namespace csm
