// Any bytes given as a record of a model's files end in a record whose digest is one, or in csm::Error.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "cache/content.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const csm::SourceRecord record =
        csm::parse_source_record(std::string(reinterpret_cast<const char*>(data), size), "record");
    if (record.content.size() != 64) std::abort();
  } catch (const csm::Error&) {
  }
  return 0;
}
