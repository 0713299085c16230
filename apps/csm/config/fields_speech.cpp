// Settings of SpeechRequest but for sampling: who speaks, how long, by which chance.
#include <fmt/format.h>

#include "config/fields.h"

namespace csm::app {
namespace {

// Milliseconds of another engine's flag, as seconds.
std::string seconds_of_milliseconds(const std::string& text) {
  const Field milliseconds = {.binding = bind([](Settings& s) -> auto& { return s.speech.max_seconds; }), .range = above(0)};
  return fmt::format("{}", std::stod(checked_value(milliseconds, text, "--max-audio-length-ms")) / 1000);
}

}  // namespace

void add_speech_fields(std::vector<Field>& table) {
  table.push_back({.section = "speech",
                   .name = "speaker",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.speaker; }),
                   .range = from(0),
                   .type = "N",
                   .help = "Who speaks: a number as in the context",
                   .unset = "0",
                   .aliases = {{.flag = "--speaker-id"}},
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "voice",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.voice; }),
                   .type = "NAME|FILE",
                   .help = "How the speaker sounds; `csm voice list` names them",
                   .unset = "none",
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "seed",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.seed; }),
                   .range = from(0),
                   .type = "N",
                   .help = "Same seed, same speech",
                   .unset = "drawn anew",
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "max-seconds",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.max_seconds; }),
                   .range = above(0),
                   .type = "S",
                   .help = "Stop after this much speech",
                   .unset = "the model's limit",
                   .aliases = {{.flag = "--max-audio-length-ms", .type = "MS", .convert = seconds_of_milliseconds},
                               {.flag = "--max-duration"}},
                   .instead_of = {"max-frames"},
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "max-frames",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.max_frames; }),
                   .range = from(1),
                   .type = "N",
                   .help = "The same in frames of 80 ms",
                   .unset = "the model's limit",
                   .aliases = {{.flag = "--max-length"}, {.flag = "--max-new-tokens"}, {.flag = "--max-tokens"}},
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "min-frames",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.min_frames; }),
                   .range = from(0),
                   .type = "N",
                   .help = "The model may not end before this many frames of 80 ms",
                   .aliases = {{.flag = "--min-length"}, {.flag = "--min-new-tokens"}},
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "stop-bias",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.stop_bias; }),
                   .range = from(-1000).to(1000),
                   .type = "X",
                   .help = "Above 0 speech ends sooner, below 0 later",
                   .commands = kSpeakers});
  table.push_back({.section = "speech",
                   .name = "deadline",
                   .binding = bind([](Settings& s) -> auto& { return s.speech.deadline; }),
                   .range = above(0).to(1e6),
                   .type = "S",
                   .help = "Stop when this much time has passed, however much was said",
                   .unset = "none",
                   .commands = kSpeakers});
}

}  // namespace csm::app
