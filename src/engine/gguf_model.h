// Models in GGUF files: ours, one file that holds everything; and the published set of three (backbone, decoder, Mimi; gguf_published.h).
//
// Place in the flow: loader -> (here) -> checkpoint, tokenizer. Stateless; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "model/checkpoint.h"
#include "text/tokenizer.h"

namespace csm {

struct ModelFiles;

bool is_gguf_name(const std::string& name);

// Whether a file of this name is one of the published set.
bool is_published_name(const std::string& name);

// Whether a read file is a model of ours.
bool is_our_gguf(const GgufFile& file);

// The model that a .gguf file, or a directory with such files (`names` are its files), means. Fills files.gguf and files.tokenizer.
// Errors: kNotFound, kInvalidData, kUnsupported for a GGUF file of another model.
void find_gguf_model(const std::string& path, const std::vector<std::string>& names, ModelFiles& files);

// Of files.gguf.
std::shared_ptr<const Checkpoint> load_gguf_checkpoint(const ModelFiles& files, WeightCheck check);
ModelSpec read_gguf_spec(const ModelFiles& files);
// Errors: kNotFound when the model has none.
std::unique_ptr<Tokenizer> load_gguf_tokenizer(const ModelFiles& files, int n_rows);

}  // namespace csm
