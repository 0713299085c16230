// MLX's groupwise affine format: packing, exactness, and how the format follows from shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "csm/error.h"
#include "model/affine.h"
#include "model/mlx_layout.h"

namespace csm::test {
namespace {

std::vector<float> random_row(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.1f, 1.0f);
  std::vector<float> row(n);
  for (float& value : row) value = normal(random);
  return row;
}

struct Packed {
  std::vector<uint32_t> words;
  std::vector<float> scales;
  std::vector<float> biases;
};

Packed pack(const AffineFormat& format, const std::vector<float>& row, DType stored = DType::kF32) {
  const auto n = static_cast<int64_t>(row.size());
  Packed packed{std::vector<uint32_t>(static_cast<size_t>(affine_words(format, n))),
                std::vector<float>(static_cast<size_t>(affine_groups(format, n))),
                {}};
  packed.biases.resize(packed.scales.size());
  quantise_affine(format, row, stored, packed.words.data(), packed.scales.data(), packed.biases.data());
  return packed;
}

std::vector<float> unpack(const AffineFormat& format, const Packed& packed, size_t n) {
  std::vector<float> row(n);
  dequantise_affine(format, row, packed.words.data(), packed.scales.data(), packed.biases.data());
  return row;
}

TEST(Affine, ErrorIsAtMostHalfAStep) {
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    for (const int group : {32, 64, 128}) {
      const AffineFormat format{bits, group};
      const std::vector<float> row = random_row(256, static_cast<unsigned>(bits * group));
      const Packed packed = pack(format, row);
      const std::vector<float> found = unpack(format, packed, row.size());
      for (size_t i = 0; i < row.size(); ++i) {
        const float step = std::fabs(packed.scales[i / static_cast<size_t>(group)]);
        // The end that is nearer to zero may lie up to a step outside, since the other end is met exactly.
        EXPECT_LE(std::fabs(found[i] - row[i]), step * 1.01f)
            << bits << " bits, groups of " << group << ", element " << i;
      }
    }
  }
}

TEST(Affine, WhatCanBeHeldIsHeldExactly) {
  for (const int bits : {3, 4, 6, 8}) {
    const AffineFormat format{bits, 32};
    const auto n_values = size_t{1} << bits;
    std::vector<float> row(64);
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i % n_values) * 0.25f;
    // Both groups have the whole range.
    row[0] = row[32] = 0;
    row[1] = row[33] = static_cast<float>(n_values - 1) * 0.25f;
    EXPECT_EQ(unpack(format, pack(format, row), row.size()), row) << bits;
  }
}

TEST(Affine, ConstantsAndZerosSurvive) {
  for (const float value : {0.0f, 1.5f, -2.0f}) {
    const std::vector<float> row(64, value);
    for (const DType stored : {DType::kF32, DType::kF16, DType::kBF16}) {
      const AffineFormat format{4, 64};
      for (const float found : unpack(format, pack(format, row, stored), row.size())) EXPECT_NEAR(found, value, 1e-5f);
    }
  }
}

// Values 0, 1, 2 ... with scale 1 and bias 0: the words are readable. Lowest bits first, across words.
TEST(Affine, WordsHoldTheLowestBitsFirst) {
  const auto decode = [](int bits, std::vector<uint32_t> words, size_t n) {
    words.resize(static_cast<size_t>(32 * bits) / 32);
    return unpack({bits, 32}, {words, {1.0f}, {0.0f}}, n);
  };
  EXPECT_EQ(decode(8, {0x04030201u}, 32)[2], 3.0f);
  EXPECT_EQ(decode(4, {0x87654321u}, 32)[7], 8.0f);
  EXPECT_EQ(decode(3, {0x80000000u, 0x1u}, 32)[10], 6.0f);        // bits 30, 31 and 32
  EXPECT_EQ(decode(6, {0xC0000000u, 0x5u}, 32)[5], 0x17 + 0.0f);  // bits 30 to 35
}

TEST(Affine, TheFormatFollowsFromShapes) {
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    for (const int group : {32, 64, 128}) {
      const AffineFormat format{bits, group};
      EXPECT_EQ(affine_format(2048, affine_words(format, 2048), affine_groups(format, 2048), "w"), format);
    }
  }
  const std::pair<int64_t, int64_t> bad[] = {{0, 32},   {2048, 32}, {256, 0},    {256, 1},
                                             {257, 32}, {448, 32},  {256, 2048}, {-1, -1}};
  for (const auto& [words, groups] : bad) {
    try {
      (void)affine_format(2048, words, groups, "the_name");
      FAIL() << words << " " << groups;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData);
      EXPECT_NE(std::string(error.what()).find("the_name"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace csm::test
