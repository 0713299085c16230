// Long texts and scripts: flags, and the file that the speech goes into while it is made.
//
// Place in the flow: speak --file and script read their text, and narrate it here. Main thread.
#pragma once

#include <csm/narrate.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/settings.h"
#include "output.h"
#include "sound_output.h"

namespace csm::app {

struct NarrationFlags {
  NarrationOptions options;
  bool no_normalize = false;
};
void add_narration_flags(CLI::App& app, NarrationFlags& flags);

// The parts into the file, standard output or the loudspeaker, as they are made. Interrupted, it leaves a whole file of what was said,
// and ends as an interrupt does. The result is for --json. Errors: those of narrate and SoundOutput.
Json narrate_aloud(Engine& engine, const SpeechRequest& request, const std::vector<NarrationPart>& parts, const NarrationFlags& flags,
                   const OutputSettings& settings, const SoundFlags& to);

}  // namespace csm::app
