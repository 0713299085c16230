// Looks at every weight once for NaN and infinity.
//
// Place in the flow: checkpoint, before anything computes with the weights. Reads a mapped file from front to back at
// the speed of memory, with a few threads when there is much to read. Stateless; any thread.
#pragma once

#include <vector>

#include "io/tensor.h"

namespace csm {

// For each tensor whether it has a value that is not finite. Errors: those of fetch().
std::vector<bool> find_non_finite(const std::vector<const TensorInfo*>& tensors);

}  // namespace csm
