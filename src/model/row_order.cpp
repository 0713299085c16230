#include "model/row_order.h"

#include <cstring>

#include "base/fail.h"
#include "io/file.h"
#include "model/affine.h"

namespace csm {
namespace {

using Bytes = std::shared_ptr<std::byte[]>;

Bytes allocate(size_t n_bytes) { return Bytes(new std::byte[n_bytes]); }

// What was copied need not stay in memory.
void release(const TensorBytes& bytes) {
  if (bytes.is_mapped) release_pages(bytes.data);
}

TensorBytes copy_half_split(const TensorBytes& source, size_t n_rows, size_t row_bytes, size_t head_dim) {
  const Bytes copy = allocate(n_rows * row_bytes);
  const size_t half = head_dim / 2;
  for (size_t row = 0; row < n_rows; ++row) {
    const size_t head = row / head_dim * head_dim;
    const size_t i = row % head_dim;
    const size_t from = head + (i < half ? 2 * i : 2 * (i - half) + 1);
    std::memcpy(copy.get() + row * row_bytes, source.data.data() + from * row_bytes, row_bytes);
  }
  release(source);
  return {{copy.get(), n_rows * row_bytes}, copy, false};
}

// f of each part of quantised rows; null for others.
template <typename F>
std::shared_ptr<const AffineParts> of_parts(const TensorInfo& source, F&& f) {
  if (source.affine == nullptr) return nullptr;
  const AffineParts& parts = *source.affine;
  return std::make_shared<const AffineParts>(AffineParts{parts.format, f(parts.words), f(parts.scales), f(parts.biases)});
}

struct SlabShape {
  size_t n_slabs, n_stored_rows, width, n_rows;
};

TensorBytes copy_transposed(const TensorBytes& source, const SlabShape& shape, size_t element_bytes) {
  const size_t n_bytes = shape.n_slabs * shape.width * shape.n_rows * element_bytes;
  const Bytes copy = allocate(n_bytes);
  std::byte* out = copy.get();
  for (size_t slab = 0; slab < shape.n_slabs; ++slab) {
    const std::byte* rows = source.data.data() + slab * shape.n_stored_rows * shape.width * element_bytes;
    for (size_t column = 0; column < shape.width; ++column) {
      for (size_t row = 0; row < shape.n_rows; ++row, out += element_bytes) {
        std::memcpy(out, rows + (row * shape.width + column) * element_bytes, element_bytes);
      }
    }
  }
  release(source);
  return {{copy.get(), n_bytes}, copy, false};
}

}  // namespace

TensorInfo row_slice(const TensorInfo& source, int64_t first, int64_t n) {
  TensorInfo slice = source;
  slice.shape[0] = n;
  const size_t row_bytes = source.n_bytes() / static_cast<size_t>(source.shape[0]);
  const size_t begin = static_cast<size_t>(first) * row_bytes;
  const size_t n_bytes = static_cast<size_t>(n) * row_bytes;
  slice.fetch = [fetch = source.fetch, begin, n_bytes] {
    TensorBytes bytes = fetch();
    bytes.data = bytes.data.subspan(begin, n_bytes);
    return bytes;
  };
  slice.affine = of_parts(source, [&](const TensorInfo& part) { return row_slice(part, first, n); });
  return slice;
}

TensorInfo half_split_rows(const TensorInfo& source, int64_t head_dim) {
  TensorInfo result = source;
  const auto n_rows = static_cast<size_t>(source.shape.at(0));
  const size_t row_bytes = source.n_bytes() / n_rows;
  result.fetch = [fetch = source.fetch, n_rows, row_bytes, head_dim] {
    return copy_half_split(fetch(), n_rows, row_bytes, static_cast<size_t>(head_dim));
  };
  result.affine = of_parts(source, [&](const TensorInfo& part) { return half_split_rows(part, head_dim); });
  return result;
}

TensorInfo transposed_slabs(const TensorInfo& source, int64_t n_rows) {
  TensorInfo result = source;
  result.affine = nullptr;
  const SlabShape shape{static_cast<size_t>(source.shape.at(0)), static_cast<size_t>(source.shape.at(1)),
                        static_cast<size_t>(source.shape.at(2)), static_cast<size_t>(n_rows)};
  result.shape = {source.shape[0], source.shape[2], n_rows};
  result.fetch = [fetch = source.fetch, shape, type = source.type, name = source.name] {
    if (is_quantised(type)) {
      fail(ErrorCode::kUnsupported, "'{}' is stored as {}, which this backend does not read; use --backend ggml or float weights", name,
           to_string(type));
    }
    return copy_transposed(fetch(), shape, size_of(type));
  };
  return result;
}

}  // namespace csm
