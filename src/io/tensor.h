// Tensors as they lie in files: a name, a type, a shape and bytes. No arithmetic beyond widening to float32.
//
// Place in the flow: io -> model -> backends. Values; the bytes are owned by whoever made the source (a mapping, a
// generator) and kept alive by TensorBytes::owner. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace csm {

// The types of safetensors files, then the quantised ones of ggml: blocks of elements along a row that share their scales.
enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool, kU32, kQ8_0, kQ6_K, kQ5_K, kQ4_K, kQ4_0, kIQ4_NL };

size_t size_of(DType type);          // of one element; throws kInternal for a quantised type, which has none
const char* to_string(DType type);   // the spelling of safetensors and ggml: "F32", "BF16", "Q4_K", ...
bool is_floating(DType type);
bool is_quantised(DType type);
size_t block_elements(DType type);   // 1 for types that are not quantised
size_t block_bytes(DType type);
size_t bytes_of_row(DType type, int64_t n_elements);  // n_elements is a multiple of block_elements

struct TensorBytes {
  std::span<const std::byte> data;
  std::shared_ptr<const void> owner;  // keeps data alive; null when the source itself does
  bool is_mapped = false;             // data lies in a MappedFile, so that release_pages (io/file.h) may be called on it
};

struct AffineParts;

// One tensor of a source. fetch() gives its bytes: a view into a mapping (free), or freshly generated memory.
struct TensorInfo {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;  // row-major, as in PyTorch
  std::function<TensorBytes()> fetch;
  // The same values as groupwise quantised rows (model/affine.h), where the file holds them so and fetch() computes them.
  std::shared_ptr<const AffineParts> affine = nullptr;

  int64_t n_elements() const;
  size_t n_bytes() const;
  std::string describe() const;  // "F32 [2051, 16]"
};

// Widens n elements (F64, F32, F16, BF16 and the integer types) to float32. Quantised types: kUnsupported, their
// arithmetic is a backend's.
void widen_to_f32(DType type, const std::byte* source, size_t n, float* out);
float f16_to_f32(uint16_t bits);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);   // round to nearest even
uint16_t f32_to_bf16(float value);  // round to nearest even

// True when all of n elements are finite: floating point ones themselves, quantised ones by the scales of their blocks.
bool all_finite(DType type, const std::byte* source, size_t n);

}  // namespace csm
