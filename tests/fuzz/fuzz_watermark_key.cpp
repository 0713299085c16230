// Any bytes given as a file with a watermark key end in a key, or in csm::Error that does not quote them.
#include <csm/error.h>
#include <csm/watermark.h>

#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    (void)csm::parse_watermark_key(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
  } catch (const csm::Error&) {
  }
  return 0;
}
