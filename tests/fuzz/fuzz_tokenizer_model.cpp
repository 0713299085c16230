// Any bytes given as a tokenizer.model (SentencePiece protobuf, or tiktoken's lines) end in a tokenizer that encodes within its ids,
// or in csm::Error.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const std::string kText = std::string("It's  12345 \xC3\xA9\n</s><|eot_id|> \xEF\xAC\x81sh e\xCC\x81 \xE2\x80\xA6 \xF0\x9F\x98\x80 speech") + '\0' + "<sep>";
  try {
    const auto tokenizer = csm::Tokenizer::parse_model({reinterpret_cast<const char*>(data), n_bytes}, "input");
    for (const int32_t id : tokenizer->encode_with_special_tokens(kText)) {
      if (id < 0 || id >= tokenizer->n_ids()) std::abort();
    }
  } catch (const csm::Error& error) {
    if (error.code() == csm::ErrorCode::kInternal) std::abort();
  }
  return 0;
}
