#include "backends/mlx/weights.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "io/file.h"

namespace csm::mlx_backend {
namespace {

// Goes up whenever weights are laid out otherwise under the same settings.
constexpr int kLayoutVersion = 1;

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

constexpr int kWordBits = 32;

int group_size_for(const std::string& name, int n) {
  for (const int candidate : {64, 32}) {
    if (n % candidate == 0) return candidate;
  }
  fail(ErrorCode::kUnsupported,
       "'{}' cannot be quantised by MLX: its rows have {} elements, which groups of 64 or 32 do not divide; use "
       "another --quantize type for this part",
       name, n);
}

mx::Shape shape_of(const TensorInfo& source) {
  mx::Shape shape;
  for (const int64_t n : source.shape) shape.push_back(static_cast<int>(n));
  return shape;
}

std::optional<mx::Dtype> dtype_of_stored(DType type) {
  switch (type) {
    case DType::kF32:
      return mx::float32;
    case DType::kF16:
      return mx::float16;
    case DType::kBF16:
      return mx::bfloat16;
    case DType::kU32:
      return mx::uint32;
    default:
      return std::nullopt;
  }
}

DType dtype_to_store(const mx::array& array) {
  if (array.dtype() == mx::float32) return DType::kF32;
  if (array.dtype() == mx::float16) return DType::kF16;
  if (array.dtype() == mx::bfloat16) return DType::kBF16;
  if (array.dtype() == mx::uint32) return DType::kU32;
  fail(ErrorCode::kInternal, "weights of an MLX type that the cache does not know");
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

PartType at_least_8_bits(PartType type) {
  return {quantised_bits(type.type) > 0 ? WeightType::kQ8_0 : type.type, type.packed};
}

std::string layout_text(const Device& device) {
  return fmt::format("layout {}, MLX {}, {}, {}, scales {}", kLayoutVersion, mx::version(),
                     device.is_cpu() ? "cpu" : "gpu", device.transposes_matrices() ? "[in, out]" : "[out, in]",
                     device.quantised_dtype() == mx::float16 ? "f16" : "f32");
}

// Three for each matrix, of which the heads are one for each codebook.
size_t max_arrays(const Checkpoint& checkpoint) {
  return 3 * (checkpoint.names().size() + 2 * static_cast<size_t>(checkpoint.spec().codec.n_codebooks + checkpoint.spec().n_codebooks));
}

mx::array Matrix::operator()(const mx::array& x, const mx::Stream& s) const {
  const mx::array input = mx::astype(x, dtype, s);
  mx::array y = scales ? mx::quantized_matmul(input, weight, *scales, biases, true, group_size, bits, "affine", s)
                       : mx::matmul(input, transposed ? weight : mx::transpose(weight, s), s);
  y = mx::astype(y, mx::float32, s);
  if (below.empty()) return y;
  std::vector<mx::array> parts = {y};
  for (const Matrix& matrix : below) parts.push_back(matrix(x, s));
  return mx::concatenate(parts, -1, s);
}

mx::array Table::operator()(const mx::array& ids, const mx::Stream& s) const {
  const mx::array found = mx::take(rows, ids, 0, s);
  if (!scales) return mx::astype(found, mx::float32, s);
  const auto looked_up = [&](const mx::array& x) { return mx::astype(mx::take(x, ids, 0, s), mx::float32, s); };
  return mx::dequantize(found, looked_up(*scales), looked_up(*biases), format.group_size, format.bits, "affine",
                        std::nullopt, std::nullopt, s);
}

mx::array WeightLoader::stored(const TensorInfo& source) {
  if (is_quantised(source.type)) {
    fail(ErrorCode::kUnsupported,
         "'{}' is stored as {}, which MLX does not compute with; use --backend ggml, or convert the unquantised model",
         source.name, to_string(source.type));
  }
  const TensorBytes bytes = source.fetch();
  const std::optional<mx::Dtype> dtype = dtype_of_stored(source.type);
  if (!dtype) {
    std::vector<float> values(static_cast<size_t>(source.n_elements()));
    widen_to_f32(source.type, bytes.data.data(), values.size(), values.data());
    return to_array(values, shape_of(source));
  }
  // MLX wants a pointer to non-const, but only writes where it allocated or where an array is given up. On a CPU it
  // copies at once; on Metal it may use the pages themselves. Either way they are not needed when it lets go.
  held_.emplace_back(const_cast<std::byte*>(bytes.data.data()), shape_of(source), *dtype, [bytes](void*) {
    if (bytes.is_mapped) release_pages(bytes.data);
  });
  return held_.back();
}

WeightLoader::Arrays WeightLoader::made(const std::vector<std::string>& names, const std::function<Arrays()>& make) {
  Arrays arrays;
  for (const std::string& name : names) {
    const auto it = found_.find(name);
    if (it != found_.end()) arrays.push_back(stored(it->second));
  }
  if (arrays.size() != names.size()) {
    arrays = make();
    for (mx::array& array : arrays) array = mx::contiguous(array, false, stream());
  }
  evaluate(arrays);
  held_.clear();
  for (size_t i = 0; i < arrays.size(); ++i) {
    n_bytes_ += arrays[i].nbytes();
    if (writer_ == nullptr) continue;
    writer_->add(names[i], dtype_to_store(arrays[i]), {arrays[i].shape().begin(), arrays[i].shape().end()},
                 {arrays[i].data<std::byte>(), arrays[i].nbytes()});
  }
  return arrays;
}

mx::array WeightLoader::vector(const TensorInfo& source) {
  return vector(source, {static_cast<int>(source.n_elements())});
}

mx::array WeightLoader::vector(const TensorInfo& source, mx::Shape shape) {
  return values(source.name, [&] {
    return mx::reshape(mx::astype(stored(source), mx::float32, stream()), std::move(shape), stream());
  });
}

// Tables are not converted, so they are read where they are and never from the cache.
Table WeightLoader::table(const TensorInfo& source) {
  Table table{stored(source.affine ? source.affine->words : source), std::nullopt, std::nullopt, {}};
  if (source.affine != nullptr) {
    table.scales = stored(source.affine->scales);
    table.biases = stored(source.affine->biases);
    table.format = source.affine->format;
  }
  held_.clear();
  return table;
}

Matrix WeightLoader::matrix(const std::vector<const TensorInfo*>& sources, PartType type) {
  const bool is_packed = type.packed == PackedWeights::kKeep &&
                         std::all_of(sources.begin(), sources.end(), [](const auto* s) { return s->affine != nullptr; });
  if (is_packed) return packed(sources);
  const auto rows = [&] {
    std::vector<mx::array> parts;
    for (const TensorInfo* source : sources) {
      parts.push_back(mx::reshape(stored(*source), matrix_shape(*source), stream()));
    }
    return parts.size() == 1 ? parts.front() : mx::concatenate(parts, 0, stream());
  };
  return matrix(sources.front()->name, rows, type.type, sources.front()->type);
}

Matrix WeightLoader::matrix(const std::string& name, const Make& rows, WeightType type, DType stored) {
  if (quantised_bits(type) > 0) return quantised(name, rows, quantised_bits(type));
  const mx::Dtype dtype = dense_dtype(type, stored);
  const bool transposed = device_->transposes_matrices();
  const mx::array weight = values(name, [&] {
    const mx::array converted = mx::astype(rows(), dtype, stream());
    return transposed ? mx::transpose(converted, stream()) : converted;
  });
  return Matrix{weight, transposed, std::nullopt, std::nullopt, 0, 0, dtype, weight.nbytes()};
}

Matrix WeightLoader::affine_matrix(const Arrays& arrays, int group_size, int bits) {
  uint64_t n_bytes = 0;
  for (const mx::array& array : arrays) n_bytes += array.nbytes();
  return {arrays[0], false, arrays[1], arrays[2], group_size, bits, arrays[1].dtype(), n_bytes};
}

Matrix WeightLoader::quantised(const std::string& name, const Make& rows, int bits) {
  int group = 0;
  const Arrays arrays = made({name, name + ".scales", name + ".biases"}, [&] {
    const mx::array dense = rows();
    group = group_size_for(name, dense.shape(1));
    const mx::array wide = mx::contiguous(mx::astype(dense, device_->quantised_dtype(), stream()), false, stream());
    return mx::quantize(wide, group, bits, "affine", std::nullopt, stream());
  });
  if (group == 0) group = arrays[0].shape(1) * kWordBits / bits / arrays[1].shape(1);
  return affine_matrix(arrays, group, bits);
}

// Rows that are packed already, under each other as far as their formats agree.
Matrix WeightLoader::packed(const std::vector<const TensorInfo*>& sources) {
  const AffineFormat format = sources.front()->affine->format;
  const auto end = std::find_if(sources.begin(), sources.end(),
                                [&](const TensorInfo* source) { return !(source->affine->format == format); });
  const std::string& name = sources.front()->name;
  const auto stacked = [&](TensorInfo AffineParts::*part) {
    std::vector<mx::array> parts;
    for (auto it = sources.begin(); it != end; ++it) {
      const mx::array raw = stored((*it)->affine.get()->*part);
      parts.push_back(part == &AffineParts::words ? raw : mx::astype(raw, device_->quantised_dtype(), stream()));
    }
    return parts.size() == 1 ? parts.front() : mx::concatenate(parts, 0, stream());
  };
  const Arrays arrays = made({name, name + ".scales", name + ".biases"}, [&] {
    return Arrays{stacked(&AffineParts::words), stacked(&AffineParts::scales), stacked(&AffineParts::biases)};
  });
  Matrix result = affine_matrix(arrays, format.group_size, format.bits);
  if (end == sources.end()) return result;
  result.below.push_back(packed({end, sources.end()}));
  result.n_bytes += result.below.back().n_bytes;
  return result;
}

}  // namespace csm::mlx_backend
