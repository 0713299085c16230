// Which files of a repository csm reads: one set of weights, its configuration, its tokenizer.
//
// Place in the flow: list of files (of the hub, or of a snapshot on disk) -> (here) -> what to fetch. The order of
// preference is that of the engine's loader. Pure functions but for has_codec; any thread.
#pragma once

#include <string>
#include <vector>

namespace csm {

struct NeededFiles {
  bool is_model = true;              // false: weights of something else, which needs neither codec nor tokenizer
  std::vector<std::string> small;    // configuration, tokenizer, index of shards: what to fetch first
  std::vector<std::string> absent;   // of the optional ones
  std::string index;                 // of shards; "" when the weights are in one file
  std::vector<std::string> weights;  // known without reading the index
  std::string codec;                 // Mimi in a file of its own, should the weights lack it
};

// `names` are all the files there are. `named` (may be empty) is the one that a person asked for. Errors: kUnsupported
// when there are no weights in a form that csm reads; kInvalidArgument when several could be meant; kNotFound when the
// named one is not there. `where` names the model in messages.
NeededFiles choose_files(const std::vector<std::string>& names, const std::string& named, const std::string& where);

// The shards that an index on disk names, sorted, each a plain name. Errors: kInvalidData, kIo.
std::vector<std::string> read_shards(const std::string& index_path);

bool has_tokenizer(const std::vector<std::string>& names);

// Whether weights on disk hold a codec as well as, or instead of, a language model. True for forms that always hold
// one. Errors: those of read_tensor_file.
bool has_codec(const std::vector<std::string>& weight_paths);

// Whether weights on disk hold a language model without a tokenizer of its own.
bool needs_tokenizer(const std::vector<std::string>& weight_paths);

}  // namespace csm
