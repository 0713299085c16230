// Rows of weights between float32 and the types that ggml computes with.
//
// Place in the flow: weights.cpp fills device memory with it, and convert writes files with it, so that both give the same bits. Stateless; any
// thread.
#pragma once

#include <ggml.h>

#include "backends/ggml/write_rows.h"

namespace csm::ggml {

// The type that holds bytes of a stored type as they are; F32 for the types that ggml does not compute with.
ggml_type stored_type(DType type);

// n_rows rows of n elements, from float32 to the type.
void convert_rows(ggml_type type, const float* in, char* out, int64_t n_rows, int64_t n);

// Floating point or quantised elements as float32: n whole blocks.
void read_f32(DType type, const std::byte* source, size_t n, float* out);

}  // namespace csm::ggml
