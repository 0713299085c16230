// Tensor files for people (csm/tensors.h) over the safetensors reader of io.
#include <csm/tensors.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/fail.h"
#include "io/safetensors.h"

namespace csm {
namespace {

template <typename T>
std::vector<T> copy_elements(const TensorInfo& info) {
  const TensorBytes bytes = info.fetch();
  std::vector<T> values(static_cast<size_t>(info.n_elements()));
  if (!values.empty()) std::memcpy(values.data(), bytes.data.data(), values.size() * sizeof(T));
  return values;
}

template <typename T>
std::vector<int32_t> to_int32(const TensorInfo& info, const std::string& path) {
  const std::vector<T> source = copy_elements<T>(info);
  std::vector<int32_t> values;
  values.reserve(source.size());
  for (const T value : source) {
    if (static_cast<int64_t>(value) < std::numeric_limits<int32_t>::min() ||
        static_cast<int64_t>(value) > std::numeric_limits<int32_t>::max()) {
      fail(ErrorCode::kInvalidData, "'{}': tensor '{}' holds {}, which is beyond 32 bits", path, info.name, value);
    }
    values.push_back(static_cast<int32_t>(value));
  }
  return values;
}

std::vector<float> to_float(const TensorInfo& info) {
  const TensorBytes bytes = info.fetch();
  std::vector<float> values(static_cast<size_t>(info.n_elements()));
  widen_to_f32(info.type, bytes.data.data(), values.size(), values.data());
  return values;
}

Tensor read_tensor(const TensorInfo& info, const std::string& path) {
  Tensor tensor;
  tensor.shape = info.shape;
  switch (info.type) {
    case DType::kF64:
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      tensor.values = to_float(info);
      break;
    case DType::kI64:
      tensor.values = to_int32<int64_t>(info, path);
      break;
    case DType::kI32:
      tensor.values = copy_elements<int32_t>(info);
      break;
    case DType::kI16:
      tensor.values = to_int32<int16_t>(info, path);
      break;
    case DType::kI8:
      tensor.values = to_int32<int8_t>(info, path);
      break;
    case DType::kU8:
    case DType::kBool:
      tensor.values = copy_elements<uint8_t>(info);
      break;
    default:
      fail(ErrorCode::kUnsupported,
           "'{}': tensor '{}' has type {}; expected floating point numbers or integers of at most 64 bits", path,
           info.name, to_string(info.type));
  }
  return tensor;
}

TensorToWrite describe(const std::string& name, const Tensor& tensor, const std::string& path) {
  constexpr DType kTypes[] = {DType::kF32, DType::kI32, DType::kU8};  // in the order of the variant
  TensorToWrite out;
  out.name = name;
  out.type = kTypes[tensor.values.index()];
  out.shape = tensor.shape;
  size_t n_values = 0;
  std::visit([&](const auto& values) { out.data = values.data(), n_values = values.size(); }, tensor.values);
  int64_t n_elements = 1;
  bool valid = true;
  for (const int64_t extent : tensor.shape) {
    valid = valid && extent >= 0 && !__builtin_mul_overflow(n_elements, extent, &n_elements);
  }
  if (!valid || static_cast<uint64_t>(n_elements) != n_values) {
    fail(ErrorCode::kInvalidArgument, "cannot write '{}': the shape of tensor '{}' does not describe its {} values",
         path, name, n_values);
  }
  return out;
}

}  // namespace

TensorFile read_tensors(const std::string& path, const std::vector<std::string>& names) {
  TensorFile file;
  file.metadata = read_safetensors_metadata(path);
  for (const TensorInfo& info : read_safetensors(path)) {
    file.contents.push_back(info.name + " " + info.describe());
    if (std::find(names.begin(), names.end(), info.name) == names.end()) continue;
    file.tensors[info.name] = read_tensor(info, path);
  }
  return file;
}

void write_tensors(const std::string& path, const TensorFile& file) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.push_back(describe(name, tensor, path));
  write_safetensors(path, tensors, file.metadata);
}

}  // namespace csm
