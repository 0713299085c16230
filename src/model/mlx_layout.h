// Quantised tensors as the MLX ecosystem publishes them (csm-mlx, mlx-audio, mlx-lm): NAME.weight of packed words (U32)
// with NAME.scales and NAME.biases beside it.
//
// Place in the flow: safetensors -> (here) -> checkpoint. Bits and group size follow from the shapes and from what the
// manifest expects. Stateless; any thread.
#pragma once

#include <string>
#include <vector>

#include "io/tensor.h"
#include "model/affine.h"
#include "model/spec.h"

namespace csm {

// Replaces each such triple by one tensor of the values, in the type of its scales (as mx.dequantize gives them), which also
// holds the parts; the rest stays as it is. The values are computed when they are fetched. Errors: kInvalidData with the tensor's name when
// parts are missing or do not fit.
std::vector<TensorInfo> unpack_mlx(std::vector<TensorInfo> tensors, const ModelSpec& spec, const std::string& where);

// The format of packed rows that hold n elements in n_words words and n_groups groups. Errors: kInvalidData; `name` is
// for messages.
AffineFormat affine_format(int64_t n, int64_t n_words, int64_t n_groups, const std::string& name);

}  // namespace csm
