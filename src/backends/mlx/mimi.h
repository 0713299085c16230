// Mimi, the codec (Kyutai's Moshi, section 3.3; SEANet, transformer and split residual vector quantiser) as lazy MLX
// graphs of one frame.
//
// Weights are shared; every stream (decoder or encoder) owns its state. Any chunking gives the same result bit for bit,
// since the unit of work is always one frame, evaluated once. The codec has one path: ExecutionPath makes no difference
// here.
#pragma once

#include <memory>

#include "backends/mlx/device.h"
#include "model/checkpoint.h"
#include "model/model.h"

namespace csm::mlx_backend {

std::unique_ptr<Codec> make_mimi(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                                 const BackendOptions& options);

}  // namespace csm::mlx_backend
