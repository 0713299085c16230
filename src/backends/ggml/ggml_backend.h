// The GGML backend: CPU, and every device that ggml has.
#pragma once

#include <memory>

#include "model/backend.h"

namespace csm {

std::unique_ptr<Backend> make_ggml_backend();

}  // namespace csm
