// Text -> tokens of a model whose weights stay on disk.
#include "engine/tokenize.h"

#include <csm/inspect.h>

#include "engine/loader.h"

namespace csm {

TokenizeResult tokenize_text(const Tokenizer& tokenizer, std::string_view text) {
  TokenizeResult result;
  for (const int32_t id : tokenizer.encode(text)) {
    result.ids.push_back(id);
    result.tokens.push_back(tokenizer.printable(id));
  }
  const std::vector<int32_t> whole = tokenizer.encode_with_special_tokens(text);
  result.ids_bos_eos.assign(whole.begin(), whole.end());
  return result;
}

TokenizeResult tokenize(const std::string& model, const std::string& text) {
  return tokenize_text(*load_tokenizer(find_model_files(model)), text);
}

}  // namespace csm
