#include "backends/mlx/weights.h"

#include <utility>

#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

mx::Dtype dense_dtype(WeightType type, DType stored) {
  switch (type) {
    case WeightType::kF16:
      return mx::float16;
    case WeightType::kBF16:
      return mx::bfloat16;
    case WeightType::kAsStored:
      return stored == DType::kF16 ? mx::float16 : stored == DType::kBF16 ? mx::bfloat16 : mx::float32;
    default:
      return mx::float32;
  }
}

mx::Shape shape_of(const TensorInfo& source) {
  mx::Shape shape;
  for (const int64_t n : source.shape) shape.push_back(static_cast<int>(n));
  return shape;
}

// [rows, everything else]
mx::Shape matrix_shape(const TensorInfo& source) {
  const int64_t n_rows = source.shape.at(0);
  return {static_cast<int>(n_rows), static_cast<int>(source.n_elements() / n_rows)};
}

}  // namespace

int quantised_bits(WeightType type) {
  switch (type) {
    case WeightType::kQ8_0:
      return 8;
    case WeightType::kQ6_K:
      return 6;
    case WeightType::kQ5_K:
      return 5;
    case WeightType::kQ4_K:
    case WeightType::kQ4_0:
      return 4;
    case WeightType::kAsStored:
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
      return 0;
    default:
      break;
  }
  fail(ErrorCode::kUnsupported,
       "the MLX backend has no such quantised type; use q8_0, q6_K, q5_K, q4_K or q4_0, or --backend ggml");
}

WeightType at_least_8_bits(WeightType type) { return quantised_bits(type) > 0 ? WeightType::kQ8_0 : type; }

mx::array Matrix::operator()(const mx::array& x, const mx::Stream& s) const {
  const mx::array input = mx::astype(x, dtype, s);
  const mx::array y = scales ? mx::quantized_matmul(input, weight, *scales, biases, true, group_size, bits, "affine", s)
                             : mx::matmul(input, transposed ? weight : mx::transpose(weight, s), s);
  return mx::astype(y, mx::float32, s);
}

mx::array WeightLoader::stored(const TensorInfo& source) const {
  if (is_quantised(source.type)) {
    fail(ErrorCode::kUnsupported,
         "'{}' is stored as {}, which MLX does not compute with; use --backend ggml, or convert the unquantised model",
         source.name, to_string(source.type));
  }
  const TensorBytes bytes = source.fetch();
  const bool is_known = source.type == DType::kF32 || source.type == DType::kF16 || source.type == DType::kBF16;
  if (!is_known) {
    std::vector<float> values(static_cast<size_t>(source.n_elements()));
    widen_to_f32(source.type, bytes.data.data(), values.size(), values.data());
    return to_array(values, shape_of(source));
  }
  const mx::Dtype dtype = dense_dtype(WeightType::kAsStored, source.type);
  // MLX wants a pointer to non-const, but only writes where it allocated or where an array is given up.
  return mx::array(const_cast<std::byte*>(bytes.data.data()), shape_of(source), dtype, [bytes](void*) {});
}

mx::array WeightLoader::keep(mx::array array) {
  evaluate({array});
  n_bytes_ += array.nbytes();
  return array;
}

mx::array WeightLoader::vector(const TensorInfo& source) {
  return vector(source, {static_cast<int>(source.n_elements())});
}

mx::array WeightLoader::vector(const TensorInfo& source, mx::Shape shape) {
  const mx::array raw = stored(source);
  return keep(mx::reshape(mx::astype(raw, mx::float32, stream()), std::move(shape), stream()));
}

mx::array WeightLoader::table(const TensorInfo& source) { return stored(source); }

Matrix WeightLoader::matrix(const std::vector<const TensorInfo*>& sources, WeightType type) {
  std::vector<mx::array> raw;
  std::vector<mx::array> parts;
  for (const TensorInfo* source : sources) {
    raw.push_back(stored(*source));
    parts.push_back(mx::reshape(raw.back(), matrix_shape(*source), stream()));
  }
  const mx::array rows = parts.size() == 1 ? parts.front() : mx::concatenate(parts, 0, stream());
  return matrix(sources.front()->name, rows, type, sources.front()->type);
}

Matrix WeightLoader::matrix(const std::string& name, const mx::array& rows, WeightType type, DType stored) {
  if (quantised_bits(type) > 0) return quantised(name, rows, quantised_bits(type));
  const mx::Dtype dtype = dense_dtype(type, stored);
  mx::array weight = mx::astype(rows, dtype, stream());
  const bool transposed = device_->transposes_matrices();
  weight = mx::contiguous(transposed ? mx::transpose(weight, stream()) : weight, false, stream());
  weight = keep(weight);
  return Matrix{weight, transposed, std::nullopt, std::nullopt, 0, 0, dtype, weight.nbytes()};
}

Matrix WeightLoader::quantised(const std::string& name, const mx::array& rows, int bits) {
  const int inner = rows.shape(1);
  int group = 0;
  for (const int candidate : {64, 32}) {
    if (group == 0 && inner % candidate == 0) group = candidate;
  }
  if (group == 0) {
    fail(ErrorCode::kUnsupported,
         "'{}' cannot be quantised by MLX: its rows have {} elements, which groups of 64 or 32 do not divide; use "
         "another --quantize type for this part",
         name, inner);
  }
  const mx::Dtype dtype = device_->quantised_dtype();
  const mx::array wide = mx::contiguous(mx::astype(rows, dtype, stream()), false, stream());
  const std::vector<mx::array> packed = mx::quantize(wide, group, bits, "affine", std::nullopt, stream());
  Matrix result{keep(packed.at(0)), false, keep(packed.at(1)), keep(packed.at(2)), group, bits, dtype, 0};
  result.n_bytes = result.weight.nbytes() + result.scales->nbytes() + result.biases->nbytes();
  return result;
}

}  // namespace csm::mlx_backend
