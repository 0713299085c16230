// How tensors lie in a buffer: bytes that must be aligned for their type, and elements that do not lie in row-major order (transposed and
// sliced views).
//
// Place in the flow: readers of weight files -> (here) -> TensorInfo. Stateless; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/tensor.h"

namespace csm {

// The data as it lies, or a copy where it is not aligned for elements of that size.
TensorBytes aligned_bytes(std::span<const std::byte> data, const std::shared_ptr<const void>& owner, size_t element_bytes, bool is_mapped);

struct StridedView {
  int64_t offset = 0;            // of the first element, in elements of the buffer
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements
};

// What a view is in a buffer of n_elements.
enum class StridedFit {
  kInOrder,      // row-major without holes: the bytes can be used as they lie
  kMustBeCopied,
  kOverlapping,  // several elements at one place (an expanded tensor)
  kOutside,      // reaches beyond the buffer, or a count that no 63 bits hold
};
StridedFit fit_of(const StridedView& view, int64_t n_elements);

// The elements in row-major order. The view fits the buffer. out holds as many elements as the view has.
void copy_in_order(const StridedView& view, const std::byte* buffer, size_t element_bytes, std::byte* out);

}  // namespace csm
