#include "model/mlx_layout.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/fail.h"
#include "model/manifest.h"
#include "model/tensor_names.h"

namespace csm {
namespace {

constexpr std::string_view kScales = ".scales";
constexpr std::string_view kBiases = ".biases";
constexpr std::string_view kWeight = ".weight";
constexpr int64_t kWordBits = 32;

bool ends_with(const std::string& text, std::string_view tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

std::string stem(const std::string& name, std::string_view tail) { return name.substr(0, name.size() - tail.size()); }

// The values of all rows in the type of the scales.
TensorBytes dequantise(const AffineParts& parts, int64_t n) {
  const AffineFormat& format = parts.format;
  const int64_t n_rows = parts.words.shape[0];
  const auto words = static_cast<size_t>(affine_words(format, n));
  const auto groups = static_cast<size_t>(affine_groups(format, n));
  const DType type = parts.scales.type;
  const TensorBytes packed = parts.words.fetch();
  const TensorBytes scale_bytes = parts.scales.fetch();
  const TensorBytes bias_bytes = parts.biases.fetch();
  auto values = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(n_rows * n) * size_of(type));
  std::vector<uint32_t> row_words(words);
  std::vector<float> scales(groups);
  std::vector<float> biases(groups);
  std::vector<float> row(static_cast<size_t>(n));
  for (size_t r = 0; r < static_cast<size_t>(n_rows); ++r) {
    std::memcpy(row_words.data(), packed.data.data() + r * words * sizeof(uint32_t), words * sizeof(uint32_t));
    widen_to_f32(type, scale_bytes.data.data() + r * groups * size_of(type), groups, scales.data());
    widen_to_f32(type, bias_bytes.data.data() + r * groups * size_of(type), groups, biases.data());
    dequantise_affine(format, row, row_words.data(), scales.data(), biases.data());
    std::byte* out = values->data() + r * row.size() * size_of(type);
    for (size_t i = 0; i < row.size(); ++i) {
      if (type == DType::kF32) std::memcpy(out + i * sizeof(float), &row[i], sizeof(float));
      if (type == DType::kF32) continue;
      const uint16_t half = type == DType::kF16 ? f32_to_f16(row[i]) : f32_to_bf16(row[i]);
      std::memcpy(out + i * sizeof half, &half, sizeof half);
    }
  }
  return {std::span<const std::byte>(*values), values};
}

TensorInfo unpacked(AffineParts parts, int64_t n, const std::string& where) {
  const std::string& name = parts.words.name;
  const bool shapes_fit = parts.words.shape.size() == 2 && parts.scales.shape.size() == 2 &&
                          parts.scales.shape == parts.biases.shape && parts.scales.shape[0] == parts.words.shape[0];
  const bool types_fit =
      (parts.scales.type == DType::kF32 || parts.scales.type == DType::kF16 || parts.scales.type == DType::kBF16) &&
      parts.biases.type == parts.scales.type;
  if (!shapes_fit || !types_fit) {
    fail(ErrorCode::kInvalidData,
         "'{}': quantised '{}' is {} with scales {} and biases {}; expected U32 rows with as many rows of scales "
         "and biases, both F32, F16 or BF16",
         where, name, parts.words.describe(), parts.scales.describe(), parts.biases.describe());
  }
  parts.format =
      affine_format(n, parts.words.shape[1], parts.scales.shape[1], fmt::format("{}': '{}", where, name));
  TensorInfo result;
  result.name = name;
  result.type = parts.scales.type;
  result.shape = {parts.words.shape[0], n};
  result.affine = std::make_shared<const AffineParts>(std::move(parts));
  result.fetch = [parts = result.affine, n] { return dequantise(*parts, n); };
  return result;
}

// Elements of a row of each matrix and table that the model has, by canonical name.
std::unordered_map<std::string, int64_t> row_lengths(const ModelSpec& spec) {
  std::unordered_map<std::string, int64_t> lengths;
  for (const ManifestEntry& entry : manifest(spec)) {
    if (entry.shape.size() == 2) lengths.emplace(entry.name, entry.shape[1]);
  }
  return lengths;
}

}  // namespace

AffineFormat affine_format(int64_t n, int64_t n_words, int64_t n_groups, const std::string& name) {
  AffineFormat format;
  if (n_groups > 0 && n % n_groups == 0 && n / n_groups <= 1024) format.group_size = static_cast<int>(n / n_groups);
  if (n > 0 && n_words <= n && n_words * kWordBits % n == 0) format.bits = static_cast<int>(n_words * kWordBits / n);
  if (is_affine_format(format, n)) return format;
  fail(ErrorCode::kInvalidData,
       "'{}' has {} words and {} groups a row for {} values; MLX's groups are of 32, 64 or 128 and its bits 2, 3, 4, "
       "5, 6 or 8",
       name, n_words, n_groups, n);
}

std::vector<TensorInfo> unpack_mlx(std::vector<TensorInfo> tensors, const ModelSpec& spec, const std::string& where) {
  const bool any = std::any_of(tensors.begin(), tensors.end(),
                               [](const TensorInfo& tensor) { return ends_with(tensor.name, kScales); });
  if (!any) return tensors;
  std::map<std::string, TensorInfo> side;  // scales and biases by their own names
  for (const TensorInfo& tensor : tensors) {
    if (ends_with(tensor.name, kScales) || ends_with(tensor.name, kBiases)) side.emplace(tensor.name, tensor);
  }
  const auto lengths = row_lengths(spec);
  std::vector<TensorInfo> result;
  for (TensorInfo& tensor : tensors) {
    if (side.count(tensor.name) > 0) continue;
    const bool is_packed = tensor.type == DType::kU32 && ends_with(tensor.name, kWeight);
    const auto length = is_packed ? lengths.find(canonical_name(tensor.name).name) : lengths.end();
    if (length == lengths.end()) {
      result.push_back(std::move(tensor));
      continue;
    }
    const std::string base = stem(tensor.name, kWeight);
    const auto scales = side.find(base + std::string(kScales));
    const auto biases = side.find(base + std::string(kBiases));
    if (scales == side.end() || biases == side.end()) {
      fail(ErrorCode::kInvalidData, "'{}': quantised '{}' lacks its {}", where, tensor.name,
           scales == side.end() ? "scales" : "biases");
    }
    result.push_back(unpacked({{}, std::move(tensor), scales->second, biases->second}, length->second, where));
    side.erase(scales);
    side.erase(biases);
  }
  for (auto& [name, tensor] : side)
    result.push_back(std::move(tensor));  // of no matrix that is known: reported as any unknown tensor
  return result;
}

}  // namespace csm
