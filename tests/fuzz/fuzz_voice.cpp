// A voice file of any content is read or refused with one error; what was read can be written and read again.
#include <csm/error.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "voice/voice_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const csm::Voice voice = csm::parse_voice({reinterpret_cast<const char*>(data), size}, "input");
    const std::string text = csm::format_voice(voice);
    if (csm::format_voice(csm::parse_voice(text, "again")) != text) std::abort();
  } catch (const csm::Error&) {
  }
  return 0;
}
