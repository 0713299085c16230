// An utterance that is generated on the inference thread while its consumer takes the samples.
//
// Place in the flow: Engine::start -> SpeechStream. The stream keeps its engine alive; the job on the inference thread
// keeps the shared state alive, and nothing else, so either end may go first. The channel has room for the longest
// utterance: a slow consumer never holds up other requests.
#pragma once

#include <memory>

#include <csm/engine.h>

#include "engine/inference_thread.h"
#include "engine/loaded_model.h"
#include "engine/stopwatch.h"

namespace csm {

// keep_alive owns model and thread. Any thread may call this. Errors: those of validate_request at once, what only the
// inference thread can find out of next().
std::unique_ptr<SpeechStream> start_stream(std::shared_ptr<Engine> keep_alive, LoadedModel& model,
                                           InferenceThread& thread, const SpeechRequest& request);

}  // namespace csm
