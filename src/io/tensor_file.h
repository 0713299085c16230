// Files of tensors, whatever their format: safetensors, PyTorch, GGUF.
//
// Place in the flow: weight files -> (here) -> TensorInfo -> checkpoint, inspect, hub. Stateless; any thread.
#pragma once

#include <string>
#include <vector>

#include "io/tensor.h"

namespace csm {

// The format follows from the name: .gguf, what is_pytorch_name (io/pytorch.h) says, and safetensors for all others. Errors: those of
// read_gguf, read_pytorch and read_safetensors.
std::vector<TensorInfo> read_tensor_file(const std::string& path);

}  // namespace csm
