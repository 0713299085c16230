// The language model: Llama backbone over frames and depth decoder over codebooks, as ggml graphs.
#pragma once

#include <memory>

#include "backends/ggml/device.h"
#include "model/checkpoint.h"
#include "model/model.h"

namespace csm::ggml {

std::unique_ptr<LanguageModel> make_language_model(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                                                   const BackendOptions& options);

}  // namespace csm::ggml
