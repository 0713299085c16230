// The MLX backend: the only thing of this folder that others include.
#pragma once

#include <memory>

#include "model/backend.h"

namespace csm {

std::unique_ptr<Backend> make_mlx_backend();

}  // namespace csm
