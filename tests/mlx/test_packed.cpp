// Rows that a file holds quantised: products and look-ups of the packed form against the values they stand for.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "backends/mlx/weights.h"

namespace csm::mlx_backend {
namespace {

constexpr int kColumns = 256;

TensorInfo info(const char* name, DType type, std::vector<int64_t> shape, std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {name, type, std::move(shape), [owner] { return TensorBytes{*owner, owner}; }};
}

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

struct Rows {
  TensorInfo info;
  std::vector<float> values;  // that the packed form stands for
};

Rows make_rows(int n_rows, AffineFormat format, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.5f);
  const auto n_words = static_cast<size_t>(affine_words(format, kColumns));
  const auto n_groups = static_cast<size_t>(affine_groups(format, kColumns));
  std::vector<uint32_t> words(n_words * static_cast<size_t>(n_rows));
  std::vector<float> scales(n_groups * static_cast<size_t>(n_rows));
  std::vector<float> biases(scales.size());
  Rows rows;
  rows.values.resize(static_cast<size_t>(n_rows) * kColumns);
  for (float& value : rows.values) value = normal(random);
  for (size_t r = 0; r < static_cast<size_t>(n_rows); ++r) {
    const std::span<float> row = std::span(rows.values).subspan(r * kColumns, kColumns);
    quantise_affine(format, row, DType::kF32, &words[r * n_words], &scales[r * n_groups], &biases[r * n_groups]);
    dequantise_affine(format, row, &words[r * n_words], &scales[r * n_groups], &biases[r * n_groups]);
  }
  const std::vector<int64_t> groups = {n_rows, static_cast<int64_t>(n_groups)};
  rows.info = info("w.weight", DType::kF32, {n_rows, kColumns}, bytes_of(rows.values));
  rows.info.affine = std::make_shared<const AffineParts>(
      AffineParts{format, info("w.weight", DType::kU32, {n_rows, static_cast<int64_t>(n_words)}, bytes_of(words)),
                  info("w.scales", DType::kF32, groups, bytes_of(scales)),
                  info("w.biases", DType::kF32, groups, bytes_of(biases))});
  return rows;
}

std::vector<float> result(const mx::array& array, const mx::Stream& s) {
  const mx::array whole = mx::contiguous(array, false, s);
  evaluate({whole});
  std::vector<float> values(whole.size());
  read(whole, values);
  return values;
}

class Packed : public ::testing::Test {
 protected:
  void expect_product(const Matrix& matrix, const std::vector<const Rows*>& rows) {
    std::vector<float> x(kColumns);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    const std::vector<float> y = result(matrix(to_array(x, {1, kColumns}), device_->stream()), device_->stream());
    size_t at = 0;
    for (const Rows* part : rows) {
      for (size_t first = 0; first < part->values.size(); first += kColumns, ++at) {
        double sum = 0;
        for (size_t i = 0; i < x.size(); ++i) sum += double{x[i]} * part->values[first + i];
        EXPECT_NEAR(y.at(at), sum, 1e-3) << "row " << at;
      }
    }
    EXPECT_EQ(at, y.size());
  }

  std::shared_ptr<Device> device_ = Device::open("cpu");
  WeightLoader loader_{device_};
};

TEST_F(Packed, StayPackedAndGiveTheSameProduct) {
  for (const int bits : {3, 4, 6, 8}) {
    const Rows q = make_rows(16, {bits, 64}, 1);
    const Rows k = make_rows(8, {bits, 64}, 2);
    const Matrix matrix = loader_.matrix({&q.info, &k.info}, {WeightType::kF32, PackedWeights::kKeep});
    EXPECT_EQ(matrix.bits, bits);
    EXPECT_TRUE(matrix.below.empty());
    EXPECT_LT(matrix.n_bytes, (q.values.size() + k.values.size()) * static_cast<size_t>(bits + 2) / 8);
    expect_product(matrix, {&q, &k});
    const Matrix unpacked = loader_.matrix({&q.info, &k.info}, {WeightType::kF32, PackedWeights::kUnpack});
    EXPECT_FALSE(unpacked.scales.has_value());
    expect_product(unpacked, {&q, &k});
  }
}

// As recipes with more bits for some matrices have it.
TEST_F(Packed, OfDifferentFormatsUnderEachOther) {
  const Rows q = make_rows(16, {4, 64}, 1);
  const Rows k = make_rows(8, {4, 64}, 2);
  const Rows v = make_rows(8, {6, 32}, 3);
  const Matrix matrix = loader_.matrix({&q.info, &k.info, &v.info}, {WeightType::kF32, PackedWeights::kKeep});
  ASSERT_EQ(matrix.below.size(), 1u);
  EXPECT_EQ(matrix.below[0].bits, 6);
  expect_product(matrix, {&q, &k, &v});
}

TEST_F(Packed, TablesAreLookedUp) {
  const Rows rows = make_rows(32, {4, 32}, 4);
  const Table table = loader_.table(rows.info);
  ASSERT_TRUE(table.scales.has_value());
  const std::vector<int32_t> ids = {31, 0, 7};
  const std::vector<float> found = result(table(to_array(ids, {3}), device_->stream()), device_->stream());
  ASSERT_EQ(found.size(), ids.size() * kColumns);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], rows.values[static_cast<size_t>(ids[i / kColumns]) * kColumns + i % kColumns], 1e-6f);
  }
}

}  // namespace
}  // namespace csm::mlx_backend
