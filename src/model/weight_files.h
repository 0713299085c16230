// How weight files are named: which of a folder's files hold the language model, and which its codec.
//
// Place in the flow: lists of names (of a directory, of a hub's repository) -> (here) -> loader and hub, which so choose alike. Pure
// functions of names; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace csm {

inline constexpr const char* kPytorchIndex = "pytorch_model.bin.index.json";

// A file that one of a model's index may name: safetensors or PyTorch.
bool is_weight_name(std::string_view name);

// An index of shards.
bool is_index_name(std::string_view name);

// Mimi beside a language model: kyutai's file keeps its own name, tokenizer-HASH-checkpointN.safetensors; also mimi*.
bool is_codec_file(std::string_view name);

// PyTorch files among the names that may be the language model: the first of the usual names alone (pytorch_model.bin, ckpt.pt, model.pt,
// model.pth), else all that are neither a codec nor a trainer's state.
std::vector<std::string> pytorch_candidates(const std::vector<std::string>& names);

}  // namespace csm
