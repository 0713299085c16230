// What every backend asks of frames and requests before it computes: the laws of model.h in one place.
//
// Place in the flow: LanguageModel calls -> (here) -> a backend's arithmetic. Stateless; any thread.
#pragma once

#include "model/model.h"

namespace csm {

// Errors: kResourceLimit when a sequence of so many positions is longer than the model's window.
void check_window(const ModelSpec& spec, int max_positions);
// Errors: kInvalidArgument when there is nothing to keep so much of.
void check_truncation(const Sequence& sequence, int position);
// Rows to append. Errors: kInvalidArgument (columns, ids), kResourceLimit (no room).
void check_rows(const ModelSpec& spec, const Sequence& sequence, FramesView rows);
// Everything of a request but its sequence's state. Errors: kInvalidArgument.
void check_request(const ModelSpec& spec, const FrameRequest& request);

}  // namespace csm
