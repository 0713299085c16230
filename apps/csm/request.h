// Settings as the library's SpeechRequest.
//
// Place in the flow: every command that speaks fills its requests here; text and context are its own business. Stateless.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>

#include "config/settings.h"

namespace csm::app {

// Speaker, seed (drawn anew where none is set), limits of length and sampling. Text and context are left alone.
void apply_settings(const Settings& settings, const Engine& engine, SpeechRequest& request);

}  // namespace csm::app
