// Words of the public options -> choices of a backend, and what requests may ask for.
//
// Place in the flow: Engine::open and every request pass here before anything is loaded or computed. Stateless; any
// thread. All errors are kInvalidArgument but for frame_limit's.
#pragma once

#include <optional>
#include <string>

#include <csm/engine.h>

#include "engine/loader.h"
#include "model/backend.h"

namespace csm {

class FileWeightCache;

// Which parts to quantise at load, and how. Unset: the part keeps the type of EngineOptions::dtype.
struct QuantizeChoice {
  std::optional<WeightType> backbone;
  std::optional<WeightType> depth;
};

// "" (nothing), "q8_0" (both parts) or "backbone=q8_0,depth=q6_K" (either may be left out). Letter case is ignored.
QuantizeChoice parse_quantize(const std::string& text);

// Whether the type of keys and values may follow from the memory limit.
bool is_auto_kv_type(const EngineOptions& options);

// What the backend is asked for. The checkpoint decides dtype "auto".
BackendOptions backend_options(const EngineOptions& options, const Checkpoint& checkpoint);

// The cache of converted weights as the options have it, for the model's files; null where no backend that may be chosen first
// converts. Errors: kInvalidArgument.
std::shared_ptr<FileWeightCache> open_weight_cache(const EngineOptions& options, const ModelFiles& files);

// Weights of the language model (everything but the codec).
int64_t count_language_model_weights(const Checkpoint& checkpoint);

// Text, turns, sampling and limits of a request, as far as they can be judged without a model.
void validate_request(const SpeechRequest& request);

// Positions for prompt and speech: the model's, or the smaller number that the request allows.
int window_of(const ModelSpec& spec, const SpeechRequest& request);

// How many frames may be generated after a prompt of n_prompt_positions, n_text of which are the text to speak:
// max_seconds, else the model's own limit, else what the window leaves; only the last two shrink to what it leaves.
// Errors: kResourceLimit when the window does not leave enough, kInvalidArgument when min_frames is beyond the limit.
int frame_limit(const ModelSpec& spec, const SpeechRequest& request, int64_t n_prompt_positions, int64_t n_text);

}  // namespace csm
