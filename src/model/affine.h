// MLX's groupwise affine quantisation: in each group of a row, value = scale * q + bias with q of a few bits.
//
// Packing: the q of a row one after the other, lowest bits first, in 32-bit words; a row is [n * bits / 32] words with
// one scale and one bias for each group. Pure functions; any thread. Source of the format: MLX's documentation of
// mx.quantize (mode "affine").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/tensor.h"

namespace csm {

struct AffineFormat {
  int bits = 0;        // 2, 3, 4, 5, 6 or 8
  int group_size = 0;  // 32, 64 or 128

  bool operator==(const AffineFormat&) const = default;
};

// A quantised matrix [rows, n] as files hold it: rows of words, and of scales and biases in one floating type.
struct AffineParts {
  AffineFormat format;
  TensorInfo words;   // U32 [rows, n * bits / 32]
  TensorInfo scales;  // [rows, n / group_size]
  TensorInfo biases;
};

// Whether rows of n elements can have the format: known bits and group size, whole groups.
bool is_affine_format(const AffineFormat& format, int64_t n);

// 32-bit words and groups of a row of n elements.
int64_t affine_words(const AffineFormat& format, int64_t n);
int64_t affine_groups(const AffineFormat& format, int64_t n);

// Quantises one row, as MLX does: the end of the range that is farther from zero is met exactly. words [affine_words],
// scales and biases [affine_groups], already rounded to the type they will be stored in (kF32, kF16 or kBF16).
void quantise_affine(const AffineFormat& format, std::span<const float> row, DType stored, uint32_t* words,
                     float* scales, float* biases);

// A value as it will be read back from the type (kF32, kF16 or kBF16).
float rounded_to(DType type, float value);

// The values of one row of n elements.
void dequantise_affine(const AffineFormat& format, std::span<float> row, const uint32_t* words, const float* scales,
                       const float* biases);

}  // namespace csm
