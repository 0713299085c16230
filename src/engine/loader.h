// Files -> checkpoint: a model is a directory or a file.
//
// Place in the flow: path -> files -> Checkpoint (+ tokenizer) -> backends and prompt. Stateless; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "text/tokenizer.h"

namespace csm {

struct ModelFiles {
  std::string directory;             // where config.json is
  std::vector<std::string> weights;  // safetensors or PyTorch files, language model first; or the GGUF files
  std::vector<std::string> gguf;     // one that holds everything, or the published set of three; empty: another format
  std::string config;                // config.json; empty when a GGUF file holds it
  std::string generation_config;     // empty: there is none
  std::string tokenizer;             // tokenizer.json, else tokenizer.model, or the GGUF file that holds one; empty: there is none
};

// Which files make up the model at path: a directory, or one of its files (config.json, safetensors, PyTorch, GGUF, an index). Finds single
// and sharded safetensors (shard names must stay inside the directory), PyTorch files in the same forms and, for the original layout, Mimi
// beside them (tokenizer-*). Errors: kNotFound (says what is missing and what a model directory holds), kInvalidData.
ModelFiles find_model_files(const std::string& path);

// The tokenizer that lies in a directory: tokenizer.json, else tokenizer.model; empty when there is neither.
std::string find_tokenizer(const std::string& directory);

// Reads the configuration, maps the weights and checks both. Errors: those of find_model_files, parse_model_spec, Checkpoint::create.
std::shared_ptr<const Checkpoint> load_checkpoint(const ModelFiles& files, WeightCheck check = WeightCheck::kValues);

// The tensors of one weight file, whatever its format.
std::vector<TensorInfo> read_weight_file(const std::string& path);

// Errors: kNotFound when the model has neither tokenizer.json nor tokenizer.model; those of Tokenizer::load.
std::unique_ptr<Tokenizer> load_tokenizer(const ModelFiles& files);

}  // namespace csm
