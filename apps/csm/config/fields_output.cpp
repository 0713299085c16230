// Settings of what is written: the file and the words.
#include "config/fields.h"

namespace csm::app {

void add_output_fields(std::vector<Field>& table) {
  table.push_back({.section = "output",
                   .name = "float",
                   .binding = bind([](Settings& s) -> auto& { return s.output.is_float; }),
                   .help = "Write 32-bit float samples instead of 16-bit integers",
                   .commands = {"speak", "codec decode", "watermark add"}});
  table.push_back({.section = "output",
                   .name = "quiet",
                   .letter = 'q',
                   .binding = bind([](Settings& s) -> auto& { return s.output.quiet; }),
                   .help = "No progress and no summary",
                   .commands = kSpeakers});
}

}  // namespace csm::app
