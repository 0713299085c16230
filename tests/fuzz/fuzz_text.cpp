// Any bytes given as a long text or as a script: chunks and sentences that are the text, normalising that is done once, or csm::Error.
#include <csm/error.h>
#include <csm/text.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "../reading/text_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  if (n_bytes > 20'000) return 0;
  const std::string text(reinterpret_cast<const char*>(data), n_bytes);
  const std::string broken = csm::broken_property(text);
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  try {
    for (const csm::ScriptLine& line : csm::parse_script(text, "input").lines) {
      if (line.text.empty() || line.line < 1) std::abort();
    }
  } catch (const csm::Error& error) {
    if (error.code() != csm::ErrorCode::kInvalidData) std::abort();
  }
  return 0;
}
