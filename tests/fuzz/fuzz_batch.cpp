// Any bytes given as the lines of a batch end in lines that can be spoken or say why not, with files that stay in their
// folder.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "batch/lines.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const std::string text(reinterpret_cast<const char*>(data), n_bytes);
  for (const auto format : {csm::app::BatchFormat::kText, csm::app::BatchFormat::kJson}) {
    for (const csm::app::BatchLine& line : csm::app::read_batch(text, format, csm::app::Settings(), "folder")) {
      if (line.number == 0) std::abort();
      if (!line.error.empty()) continue;
      const std::filesystem::path file(line.file);
      if (line.text.empty() || file.empty() || file.is_absolute() || *file.begin() == "..") std::abort();
      if (csm::app::fingerprint(line, {}).size() != 16) std::abort();
    }
  }
  return 0;
}
