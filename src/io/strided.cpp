#include "io/strided.h"

#include <algorithm>
#include <cstring>

namespace csm {
namespace {

struct Dimension {
  int64_t extent;
  int64_t stride;
};

// Those that move at all, widest stride first.
std::vector<Dimension> by_stride(const StridedView& view) {
  std::vector<Dimension> dimensions;
  for (size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] > 1) dimensions.push_back({view.shape[i], view.strides[i]});
  }
  std::sort(dimensions.begin(), dimensions.end(), [](const Dimension& a, const Dimension& b) { return a.stride > b.stride; });
  return dimensions;
}

bool is_in_order(const StridedView& view) {
  int64_t expected = 1;
  for (size_t i = view.shape.size(); i-- > 0;) {
    if (view.shape[i] > 1 && view.strides[i] != expected) return false;
    expected *= view.shape[i];
  }
  return true;
}

template <size_t kBytes>
void copy_row(const std::byte* from, int64_t stride, int64_t n, std::byte* to) {
  for (int64_t i = 0; i < n; ++i) std::memcpy(to + static_cast<size_t>(i) * kBytes, from + static_cast<size_t>(i * stride) * kBytes, kBytes);
}

void copy_row(size_t element_bytes, const std::byte* from, int64_t stride, int64_t n, std::byte* to) {
  switch (element_bytes) {
    case 1: return copy_row<1>(from, stride, n, to);
    case 2: return copy_row<2>(from, stride, n, to);
    case 4: return copy_row<4>(from, stride, n, to);
    default: return copy_row<8>(from, stride, n, to);
  }
}

}  // namespace

TensorBytes aligned_bytes(std::span<const std::byte> data, const std::shared_ptr<const void>& owner, size_t element_bytes,
                          bool is_mapped) {
  if (reinterpret_cast<uintptr_t>(data.data()) % element_bytes == 0) return {data, owner, is_mapped};
  const std::shared_ptr<std::byte[]> copy(new std::byte[data.size()]);
  std::memcpy(copy.get(), data.data(), data.size());
  return {{copy.get(), data.size()}, copy, false};
}

StridedFit fit_of(const StridedView& view, int64_t n_elements) {
  if (view.offset < 0 || view.offset > n_elements || view.shape.size() != view.strides.size()) return StridedFit::kOutside;
  int64_t count = 1;
  bool is_empty = false;
  for (size_t i = 0; i < view.shape.size(); ++i) {
    if (view.shape[i] < 0 || view.strides[i] < 0) return StridedFit::kOutside;
    is_empty = is_empty || view.shape[i] == 0;
  }
  if (is_empty) return StridedFit::kInOrder;
  // From the narrowest stride to the widest: what the dimensions so far reach over must be less than the next step.
  std::vector<Dimension> dimensions = by_stride(view);
  std::reverse(dimensions.begin(), dimensions.end());
  int64_t last = 0;  // index of the last element, from the first
  bool overlaps = false;
  for (const Dimension& dimension : dimensions) {
    overlaps = overlaps || dimension.stride <= last || dimension.stride == 0;
    int64_t reach = 0;
    if (__builtin_mul_overflow(dimension.extent - 1, dimension.stride, &reach) || __builtin_add_overflow(last, reach, &last) ||
        __builtin_mul_overflow(count, dimension.extent, &count)) {
      return StridedFit::kOutside;
    }
  }
  if (last >= n_elements - view.offset) return StridedFit::kOutside;
  if (overlaps) return StridedFit::kOverlapping;
  return is_in_order(view) ? StridedFit::kInOrder : StridedFit::kMustBeCopied;
}

void copy_in_order(const StridedView& view, const std::byte* buffer, size_t element_bytes, std::byte* out) {
  if (view.shape.empty()) {
    std::memcpy(out, buffer + static_cast<size_t>(view.offset) * element_bytes, element_bytes);
    return;
  }
  const size_t last = view.shape.size() - 1;
  const int64_t row = view.shape[last];
  std::vector<int64_t> index(view.shape.size(), 0);
  for (int64_t at = view.offset;;) {
    copy_row(element_bytes, buffer + static_cast<size_t>(at) * element_bytes, view.strides[last], row, out);
    out += static_cast<size_t>(row) * element_bytes;
    size_t dimension = last;
    while (dimension-- > 0) {
      at += view.strides[dimension];
      if (++index[dimension] < view.shape[dimension]) break;
      at -= view.strides[dimension] * view.shape[dimension];
      index[dimension] = 0;
    }
    if (dimension == static_cast<size_t>(-1)) return;
  }
}

}  // namespace csm
