// Backbone and depth decoder as a LanguageModel.
#pragma once

#include <memory>

#include "backends/mlx/device.h"
#include "model/checkpoint.h"

namespace csm::mlx_backend {

std::unique_ptr<LanguageModel> make_language_model(std::shared_ptr<Device> device,
                                                   std::shared_ptr<const Checkpoint> checkpoint,
                                                   const BackendOptions& options);

}  // namespace csm::mlx_backend
