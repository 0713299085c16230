// The first half of the path: a request's turns and text -> the prompt.
//
// Place in the flow: request -> conversation -> synthesis. Runs on the inference thread, since context audio goes
// through the codec's encoder.
#pragma once

#include <vector>

#include <csm/engine.h>

#include "base/cancel.h"
#include "engine/loaded_model.h"

namespace csm {

// The prompt and how many frames may follow it.
struct PreparedPrompt {
  Prompt prompt;
  std::vector<int> segment_ends;  // of each text and each audio
  int max_frames = 0;
  double context_ms = 0;       // resampling and encoding of context audio
};

// For each turn that is kept its text, then its audio and the end row; at last the text to speak. Turns are chosen, and the window
// is checked, before any audio is encoded. Errors: those of validate_request and frame_limit; kInvalidArgument for codes the model
// cannot have; kResourceLimit for pinned turns that do not fit; kCancelled.
PreparedPrompt prepare_prompt(LoadedModel& model, const SpeechRequest& request, const CancelToken& cancel);

// What prepare_prompt would keep. Errors: as there, but not for a window that is too small.
ContextReport context_report(const LoadedModel& model, const SpeechRequest& request);

}  // namespace csm
