// Settings as the library's SpeechRequest.
//
// Place in the flow: every command that speaks fills its requests here; text and context are its own business. Stateless.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>

#include "config/settings.h"

namespace csm::app {

// What the engine is opened with.
EngineOptions engine_options(const Settings& settings);

// Speaker, seed (drawn anew where none is set), limits of length, guard, sampling, and the watermark but for its key. Text
// and context are left alone.
void apply_settings(const Settings& settings, const Engine& engine, SpeechRequest& request);

// After apply_settings: the voice's clips come before the context that there is, as turns of the request's speaker, who is
// the voice's own where neither setting nor context names one. Without a voice, the first speaker number that a model
// which knows no voices by number is asked for gives a warning. Errors: those of find_voice and voice_turns.
void apply_voice(const Settings& settings, Engine& engine, SpeechRequest& request);

}  // namespace csm::app
