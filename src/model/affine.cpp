#include "model/affine.h"

#include <algorithm>
#include <cmath>

namespace csm {
namespace {

constexpr int kWordBits = 32;
constexpr float kLeastScale = 1e-7f;
constexpr int kKnownBits[] = {2, 3, 4, 5, 6, 8};
constexpr int kKnownGroups[] = {32, 64, 128};

struct GroupRange {
  float scale = 0;
  float bias = 0;
};

GroupRange range_of(std::span<const float> group, int bits) {
  const auto [least, greatest] = std::minmax_element(group.begin(), group.end());
  const float n_steps = static_cast<float>((1 << bits) - 1);
  const bool low_is_far = std::abs(*least) > std::abs(*greatest);
  const float step = std::max((*greatest - *least) / n_steps, kLeastScale);
  GroupRange range;
  range.scale = low_is_far ? step : -step;
  const float edge = low_is_far ? *least : *greatest;
  const float n_edge = std::rint(edge / range.scale);
  if (n_edge == 0) return range;
  range.scale = edge / n_edge;  // so that the edge is a whole number of steps from zero: zero is met exactly too
  range.bias = edge;
  return range;
}

}  // namespace

bool is_affine_format(const AffineFormat& format, int64_t n) {
  const bool known =
      std::find(std::begin(kKnownBits), std::end(kKnownBits), format.bits) != std::end(kKnownBits) &&
      std::find(std::begin(kKnownGroups), std::end(kKnownGroups), format.group_size) != std::end(kKnownGroups);
  return known && n > 0 && n % format.group_size == 0;
}

int64_t affine_words(const AffineFormat& format, int64_t n) { return n * format.bits / kWordBits; }
int64_t affine_groups(const AffineFormat& format, int64_t n) { return n / format.group_size; }

float rounded_to(DType type, float value) {
  if (type == DType::kF16) return f16_to_f32(f32_to_f16(value));
  return type == DType::kBF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

void quantise_affine(const AffineFormat& format, std::span<const float> row, DType stored, uint32_t* words,
                     float* scales, float* biases) {
  const auto size = static_cast<size_t>(format.group_size);
  const auto greatest = static_cast<float>((1 << format.bits) - 1);
  std::fill(words, words + affine_words(format, static_cast<int64_t>(row.size())), 0u);
  size_t bit = 0;
  for (size_t first = 0; first < row.size(); first += size) {
    const std::span<const float> group = row.subspan(first, size);
    GroupRange range = range_of(group, format.bits);
    range.scale = rounded_to(stored, range.scale);
    range.bias = rounded_to(stored, range.bias);
    *scales++ = range.scale;
    *biases++ = range.bias;
    for (const float value : group) {
      const float steps = range.scale != 0 ? std::rint((value - range.bias) / range.scale) : 0.0f;
      const auto q = static_cast<uint64_t>(std::clamp(steps, 0.0f, greatest));
      const uint64_t shifted = q << (bit % kWordBits);  // may reach into the next word
      words[bit / kWordBits] |= static_cast<uint32_t>(shifted);
      if ((shifted >> kWordBits) != 0) words[bit / kWordBits + 1] |= static_cast<uint32_t>(shifted >> kWordBits);
      bit += static_cast<size_t>(format.bits);
    }
  }
}

void dequantise_affine(const AffineFormat& format, std::span<float> row, const uint32_t* words, const float* scales,
                       const float* biases) {
  const auto size = static_cast<size_t>(format.group_size);
  const auto bits = static_cast<size_t>(format.bits);
  const uint32_t mask = (1u << bits) - 1u;
  size_t bit = 0;
  for (size_t first = 0; first < row.size(); first += size, ++scales, ++biases) {
    for (float& value : row.subspan(first, size)) {
      const size_t offset = bit % kWordBits;
      uint32_t q = words[bit / kWordBits] >> offset;
      if (offset + bits > kWordBits) q |= words[bit / kWordBits + 1] << (kWordBits - offset);
      value = *scales * static_cast<float>(q & mask) + *biases;
      bit += bits;
    }
  }
}

}  // namespace csm
