// The published set of three GGUF files: sesame-csm-backbone.gguf, sesame-csm-decoder.gguf and kyutai-mimi.gguf.
//
// Their names are mapped to canonical ones, q and k rows put in our order, and what the files leave out is added: the Llama-3 scaling of
// the rotary frequencies (always, as the model was trained with it) and the shape of Mimi, read off its tensors. A config.json beside
// the files says it all instead; a tokenizer.json or tokenizer.model beside them replaces the vocabulary that they carry.
//
// Place in the flow: loader -> (here) -> checkpoint, tokenizer. Stateless; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/loader.h"

namespace csm {

inline constexpr const char* kPublishedNames[] = {"sesame-csm-backbone.gguf", "sesame-csm-decoder.gguf", "kyutai-mimi.gguf"};

// Fills files.config and files.tokenizer with what lies beside the set, or with its backbone where that holds a vocabulary.
void find_published_companions(const std::vector<std::string>& names, ModelFiles& files);

// A config.json of what the set's metadata and shapes say.
std::string published_config(const ModelFiles& files);

// Of files.gguf, in the order of kPublishedNames. Errors: kInvalidData with the key or tensor.
ModelSpec read_published_spec(const ModelFiles& files);
std::shared_ptr<const Checkpoint> load_published_checkpoint(const ModelFiles& files, WeightCheck check);
std::unique_ptr<Tokenizer> load_published_tokenizer(const ModelFiles& files, int n_rows);

}  // namespace csm
