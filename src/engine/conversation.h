// The first half of the path: a request's turns and text -> the prompt.
//
// Place in the flow: request -> conversation -> synthesis. Runs on the inference thread, since context audio goes
// through the codec's encoder.
#pragma once

#include <csm/engine.h>

#include "base/cancel.h"
#include "engine/loaded_model.h"

namespace csm {

// The prompt and how many frames may follow it.
struct PreparedPrompt {
  Prompt prompt;
  int max_frames = 0;
  double context_ms = 0;  // resampling and encoding of context audio
};

// For each turn its text, then its audio and the end row; at last the text to speak. The window is checked before any
// audio is encoded. Errors: those of validate_request and frame_limit; kInvalidArgument for codes the model cannot
// have; kCancelled.
PreparedPrompt prepare_prompt(LoadedModel& model, const SpeechRequest& request, const CancelToken& cancel);

}  // namespace csm
