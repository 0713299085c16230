// Any bytes given as a saved conversation end in turns whose codes the codec has, or in csm::Error; what was read is written and read again
// as the same.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/conversation_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  constexpr csm::CodecShape kShape{2, 500, 24000, 1920};
  try {
    const auto turns = csm::parse_conversation({reinterpret_cast<const char*>(data), n_bytes}, kShape, "input");
    for (const csm::ConversationTurn& turn : turns) {
      if (turn.speaker < 0 || turn.codes.ids.size() % 2 != 0) std::abort();
      for (const int32_t id : turn.codes.ids) {
        if (id < 0 || id >= kShape.codebook_size) std::abort();
      }
    }
    const std::string written = csm::write_conversation(turns, kShape);
    if (csm::write_conversation(csm::parse_conversation(written, kShape, "again"), kShape) != written) std::abort();
  } catch (const csm::Error&) {
  }
  return 0;
}
