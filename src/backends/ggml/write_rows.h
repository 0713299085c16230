// Rows of float weights in a type of a file, without a word of ggml.
//
// Place in the flow: backends/registry.h offers it to the layers above. Stateless; any thread.
#pragma once

#include "io/tensor.h"

namespace csm::ggml {

// n_rows rows of n elements from float32: F32, F16, BF16 or a quantised type, exactly as loading float weights does.
void write_rows(DType type, const float* in, std::byte* out, int64_t n_rows, int64_t n);

}  // namespace csm::ggml
