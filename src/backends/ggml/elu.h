// ELU on the CPU: ggml's own runs on one thread and calls expm1f for each element, which was a third of Mimi's time.
//
// Place in the flow: used by Mimi's layers in graphs of the CPU device (custom operations run nowhere else). Inference
// thread.
#pragma once

#include <ggml.h>

namespace csm::ggml {

// x > 0 ? x : exp(x) - 1, exact to 2 units in the last place, as a new tensor.
ggml_tensor* cpu_elu(ggml_context* context, ggml_tensor* x);
// The same into `place`, a contiguous tensor of x's shape. Result: place.
ggml_tensor* cpu_elu_into(ggml_context* context, ggml_tensor* place, ggml_tensor* x);

}  // namespace csm::ggml
