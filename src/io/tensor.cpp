#include "io/tensor.h"

#include <bit>
#include <cstring>
#include <type_traits>

#include "base/fail.h"

namespace csm {
namespace {

// memcpy, since data of a file need not be aligned; compilers turn it into a plain (vector) load.
template <typename T>
T load(const std::byte* source, size_t i) {
  T value;
  std::memcpy(&value, source + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T, typename Convert>
void convert_all(const std::byte* source, size_t n, float* out, Convert convert) {
  for (size_t i = 0; i < n; ++i) out[i] = convert(load<T>(source, i));
}

template <typename T>
void cast_all(const std::byte* source, size_t n, float* out) {
  convert_all<T>(source, n, out, [](T value) { return static_cast<float>(value); });
}

// Branch-free: normal numbers by rebias in integers, subnormals by a float subtraction that normalises them.
inline float widen_f16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFu) << 13;
  const uint32_t exponent = magnitude & 0x0F800000u;
  const uint32_t normal = magnitude + ((127u - 15u) << 23);
  const uint32_t special = magnitude + ((255u - 31u) << 23);  // infinity, NaN
  const float subnormal = std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23);
  uint32_t bits = exponent == 0x0F800000u ? special : normal;
  bits = exponent == 0 ? std::bit_cast<uint32_t>(subnormal) : bits;
  return std::bit_cast<float>(bits | sign);
}

inline float widen_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// A value is finite unless all its exponent bits are set. One accumulator without early exit, so that the loop vectorises;
// blocks keep a bad tensor from being read to its end.
template <typename T>
bool exponents_below(const std::byte* source, size_t n, T mask) {
  constexpr size_t kBlock = 4096;
  for (size_t begin = 0; begin < n; begin += kBlock) {
    const size_t end = begin + kBlock < n ? begin + kBlock : n;
    T bad = 0;
    for (size_t i = begin; i < end; ++i) bad |= static_cast<T>((load<T>(source, i) & mask) == mask);
    if (bad != 0) return false;
  }
  return true;
}

// How a quantised type lies in memory, as in ggml: blocks of so many elements and bytes, with f16 scales at two offsets (equal when
// there is one).
struct BlockFormat {
  DType type;
  const char* name;
  size_t n_elements;
  size_t n_bytes;
  size_t scale_offsets[2];
};
constexpr BlockFormat kBlockFormats[] = {
    {DType::kQ8_0, "Q8_0", 32, 34, {0, 0}},    {DType::kQ6_K, "Q6_K", 256, 210, {208, 208}},
    {DType::kQ5_K, "Q5_K", 256, 176, {0, 2}},  {DType::kQ4_K, "Q4_K", 256, 144, {0, 2}},
    {DType::kQ4_0, "Q4_0", 32, 18, {0, 0}},    {DType::kIQ4_NL, "IQ4_NL", 32, 18, {0, 0}},
};

const BlockFormat* find_format(DType type) {
  for (const BlockFormat& format : kBlockFormats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

bool scales_are_finite(const BlockFormat& format, const std::byte* source, size_t n) {
  for (size_t block = 0; block < n / format.n_elements; ++block) {
    for (const size_t offset : format.scale_offsets) {
      if (!exponents_below<uint16_t>(source + block * format.n_bytes + offset, 1, uint16_t{0x7C00u})) return false;
    }
  }
  return true;
}

}  // namespace

size_t size_of(DType type) {
  switch (type) {
    case DType::kF64:
    case DType::kI64: return 8;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32: return 4;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16: return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool: return 1;
    default: fail(ErrorCode::kInternal, "type {} has no size of one element", to_string(type));
  }
}

const char* to_string(DType type) {
  switch (type) {
    case DType::kF64: return "F64";
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kI64: return "I64";
    case DType::kI32: return "I32";
    case DType::kI16: return "I16";
    case DType::kI8: return "I8";
    case DType::kU8: return "U8";
    case DType::kBool: return "BOOL";
    case DType::kU32: return "U32";
    default: break;
  }
  if (const BlockFormat* format = find_format(type)) return format->name;
  fail(ErrorCode::kInternal, "unknown tensor type {}", static_cast<int>(type));
}

bool is_floating(DType type) {
  return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

bool is_quantised(DType type) { return find_format(type) != nullptr; }

size_t block_elements(DType type) {
  const BlockFormat* format = find_format(type);
  return format != nullptr ? format->n_elements : 1;
}

size_t block_bytes(DType type) {
  const BlockFormat* format = find_format(type);
  return format != nullptr ? format->n_bytes : size_of(type);
}

size_t bytes_of_row(DType type, int64_t n_elements) {
  return static_cast<size_t>(n_elements) / block_elements(type) * block_bytes(type);
}

int64_t TensorInfo::n_elements() const {
  int64_t n = 1;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(n, extent, &n)) fail(ErrorCode::kInvalidData, "tensor '{}' is too large: {}", name, describe());
  }
  return n;
}

size_t TensorInfo::n_bytes() const { return bytes_of_row(type, n_elements()); }

std::string TensorInfo::describe() const {
  std::string text = std::string(to_string(type)) + " [";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

void widen_to_f32(DType type, const std::byte* source, size_t n, float* out) {
  if (n == 0) return;
  switch (type) {
    case DType::kF64: return cast_all<double>(source, n, out);
    case DType::kF32: std::memcpy(out, source, n * sizeof(float)); return;
    case DType::kF16: return convert_all<uint16_t>(source, n, out, widen_f16);
    case DType::kBF16: return convert_all<uint16_t>(source, n, out, widen_bf16);
    case DType::kI64: return cast_all<int64_t>(source, n, out);
    case DType::kI32: return cast_all<int32_t>(source, n, out);
    case DType::kU32: return cast_all<uint32_t>(source, n, out);
    case DType::kI16: return cast_all<int16_t>(source, n, out);
    case DType::kI8: return cast_all<int8_t>(source, n, out);
    case DType::kU8:
    case DType::kBool: return cast_all<uint8_t>(source, n, out);
    default: fail(ErrorCode::kUnsupported, "weights stored as {} are read by the ggml backend only; use --backend ggml", to_string(type));
  }
}

float f16_to_f32(uint16_t bits) { return widen_f16(bits); }
float bf16_to_f32(uint16_t bits) { return widen_bf16(bits); }

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return sign | 0x7E00u | static_cast<uint16_t>((magnitude >> 13) & 0x3FFu);  // NaN stays NaN
  if (magnitude >= 0x477FF000u) return sign | 0x7C00u;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                        // subnormal: the FPU rounds when the unit in the last place is 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return sign | static_cast<uint16_t>((magnitude - ((127u - 15u) << 23) + 0xFFFu + odd) >> 13);
}

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

bool all_finite(DType type, const std::byte* source, size_t n) {
  switch (type) {
    case DType::kF64: return exponents_below<uint64_t>(source, n, 0x7FF0000000000000u);
    case DType::kF32: return exponents_below<uint32_t>(source, n, 0x7F800000u);
    case DType::kF16: return exponents_below<uint16_t>(source, n, 0x7C00u);
    case DType::kBF16: return exponents_below<uint16_t>(source, n, 0x7F80u);
    default: break;
  }
  const BlockFormat* format = find_format(type);
  return format == nullptr || scales_are_finite(*format, source, n);
}

}  // namespace csm
