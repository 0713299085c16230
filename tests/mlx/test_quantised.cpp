// Our reading and writing of MLX's quantised format against MLX itself.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "backends/mlx/device.h"
#include "model/affine.h"

namespace csm::mlx_backend {
namespace {

constexpr int kRows = 8;
constexpr int kColumns = 256;

struct Case {
  int bits;
  int group;
};

class Quantised : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0.0f, 0.7f);
    for (float& value : values_) value = normal(random);
    const mx::Stream& s = device_->stream();
    packed_ =
        mx::quantize(to_array(values_, {kRows, kColumns}), format_.group_size, format_.bits, "affine", std::nullopt, s);
    for (mx::array& array : packed_) array = mx::contiguous(array, false, s);
    dequantised_ = mx::contiguous(mx::dequantize(packed_[0], packed_[1], packed_[2], format_.group_size, format_.bits,
                                                 "affine", std::nullopt, std::nullopt, s),
                                  false, s);
    evaluate({packed_[0], packed_[1], packed_[2], *dequantised_});
  }

  AffineFormat format_{GetParam().bits, GetParam().group};
  std::shared_ptr<Device> device_ = Device::open("cpu");
  std::vector<float> values_ = std::vector<float>(kRows * kColumns);
  std::vector<mx::array> packed_;
  std::optional<mx::array> dequantised_;
};

TEST_P(Quantised, WhatMlxPacksIsRead) {
  const auto words = static_cast<size_t>(affine_words(format_, kColumns));
  const auto groups = static_cast<size_t>(affine_groups(format_, kColumns));
  ASSERT_EQ(packed_[0].size(), words * kRows);
  ASSERT_EQ(packed_[1].size(), groups * kRows);
  std::vector<float> expected(values_.size());
  read(*dequantised_, expected);
  std::vector<float> row(kColumns);
  for (size_t r = 0; r < kRows; ++r) {
    dequantise_affine(format_, row, packed_[0].data<uint32_t>() + r * words, packed_[1].data<float>() + r * groups,
                      packed_[2].data<float>() + r * groups);
    for (size_t i = 0; i < row.size(); ++i)
      EXPECT_NEAR(row[i], expected[r * kColumns + i], 1e-6f) << "row " << r << " column " << i;
  }
}

TEST_P(Quantised, WhatIsPackedHereMlxReads) {
  const auto words = static_cast<size_t>(affine_words(format_, kColumns));
  const auto groups = static_cast<size_t>(affine_groups(format_, kColumns));
  std::vector<uint32_t> packed(words * kRows);
  std::vector<float> scales(groups * kRows);
  std::vector<float> biases(groups * kRows);
  for (size_t r = 0; r < kRows; ++r) {
    quantise_affine(format_, std::span<const float>(values_).subspan(r * kColumns, kColumns), DType::kF32,
                    packed.data() + r * words, scales.data() + r * groups, biases.data() + r * groups);
  }
  const mx::Stream& s = device_->stream();
  const mx::array array(packed.data(), {kRows, static_cast<int>(words)}, mx::uint32);
  const mx::array found =
      mx::contiguous(mx::dequantize(array, to_array(scales, {kRows, static_cast<int>(groups)}),
                                    to_array(biases, {kRows, static_cast<int>(groups)}), format_.group_size,
                                    format_.bits, "affine", std::nullopt, std::nullopt, s),
                     false, s);
  evaluate({found});
  std::vector<float> ours(values_.size());
  std::vector<float> theirs(values_.size());
  read(found, ours);
  read(*dequantised_, theirs);
  double our_error = 0;
  double their_error = 0;
  for (size_t i = 0; i < values_.size(); ++i) {
    our_error += std::pow(ours[i] - values_[i], 2);
    their_error += std::pow(theirs[i] - values_[i], 2);
  }
  EXPECT_LE(our_error, their_error * 1.02) << "as good as MLX's own";
}

INSTANTIATE_TEST_SUITE_P(Formats, Quantised,
                         ::testing::Values(Case{8, 64}, Case{8, 32}, Case{6, 64}, Case{5, 64}, Case{4, 64}, Case{4, 32},
                                           Case{4, 128}, Case{3, 64}, Case{2, 64}),
                         [](const auto& info) {
                           return "bits" + std::to_string(info.param.bits) + "_group" +
                                  std::to_string(info.param.group);
                         });

}  // namespace
}  // namespace csm::mlx_backend
