// Text -> tokens of a model whose weights stay on disk.
#include <csm/inspect.h>

#include "base/fail.h"
#include "engine/loader.h"

namespace csm {

TokenizeResult tokenize(const std::string& model, const std::string& text) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(find_model_files(model));
  TokenizeResult result;
  for (const int32_t id : tokenizer->encode(text)) {
    result.ids.push_back(id);
    result.tokens.push_back(tokenizer->printable(id));
  }
  const std::vector<int32_t> whole = tokenizer->encode_with_special_tokens(text);
  result.ids_bos_eos.assign(whole.begin(), whole.end());
  return result;
}

}  // namespace csm
