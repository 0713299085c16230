// The backends that are built in.
//
// Place in the flow: the engine asks here for a backend by name and sees only its interface (model/backend.h). Stateless; any
// thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/tensor.h"
#include "model/backend.h"

namespace csm {

// In order of preference.
std::vector<std::string> backend_names();
// "auto" or a name. Errors: kInvalidArgument with the names there are.
std::unique_ptr<Backend> make_backend(const std::string& name);

// Writes n_rows rows of n elements in the type: F32, F16, BF16 or a quantised one, exactly as the ggml backend does when it loads float
// weights. Errors: kUnsupported when that backend is not built in.
void convert_rows(DType type, const float* rows, std::byte* out, int64_t n_rows, int64_t n);

}  // namespace csm
