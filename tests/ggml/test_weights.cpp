// Weights as ggml computes with them: conversion, quantisation, repacking, padding, mapping.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "backends/ggml/graph.h"
#include "backends/ggml/rows.h"
#include "backends/ggml/weights.h"
#include "csm/error.h"

namespace csm::ggml {
namespace {

struct Matrix {
  int64_t n_rows;
  int64_t n;
  std::vector<float> values;

  Matrix(int64_t rows, int64_t columns, unsigned seed) : n_rows(rows), n(columns) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 1);
    for (int64_t i = 0; i < rows * columns; ++i) values.push_back(normal(random));
  }
  TensorInfo info() const {
    TensorInfo info;
    info.name = "test.weight";
    info.type = DType::kF32;
    info.shape = {n_rows, n};
    info.fetch = [this] { return TensorBytes{std::as_bytes(std::span(values)), nullptr}; };
    return info;
  }
  std::vector<float> times(const std::vector<float>& columns) const {
    std::vector<float> out;
    for (size_t start = 0; start < columns.size(); start += static_cast<size_t>(n)) {
      for (int64_t row = 0; row < n_rows; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += double{values[static_cast<size_t>(row * n + i)]} * columns[start + static_cast<size_t>(i)];
        out.push_back(static_cast<float>(sum));
      }
    }
    return out;
  }
};

std::vector<float> product(const std::shared_ptr<Device>& device, ggml_tensor* weight, const std::vector<float>& columns) {
  Graph graph(device, 16);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, weight->ne[0], static_cast<int64_t>(columns.size()) / weight->ne[0]);
  ggml_tensor* y = ggml_mul_mat(graph.context(), weight, x);
  graph.output(y);
  graph.allocate();
  graph.set(x, columns);
  graph.run();
  std::vector<float> out(static_cast<size_t>(ggml_nelements(y)));
  graph.get(y, std::span<float>(out));
  return out;
}

// Root mean square of the difference over that of the expectation.
double relative_error(const std::vector<float>& found, const std::vector<float>& expected) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(found.at(i) - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / size);
}

struct TypeCase {
  WeightType type;
  double max_error;  // of a product with normal weights and inputs
};

class WeightTypes : public ::testing::TestWithParam<std::tuple<TypeCase, int>> {};

TEST_P(WeightTypes, ProductsAreAsCloseAsTheTypeAllows) {
  const auto [type_case, n_columns] = GetParam();
  const Matrix matrix(40, 512, 1);
  const Matrix inputs(n_columns, 512, 2);
  const std::vector<float> expected = matrix.times(inputs.values);
  const auto device = Device::open("cpu", 1);
  std::vector<std::vector<float>> results;
  for (const bool repack : {true, false}) {
    WeightStore store(device, repack);
    ggml_tensor* weight = store.matrix(matrix.info(), weight_type(type_case.type, DType::kF32));
    store.load();
    results.push_back(product(device, weight, inputs.values));
    const double error = relative_error(results.back(), expected);
    EXPECT_LE(error, type_case.max_error) << "repack " << repack;
    EXPECT_EQ(error > 1e-6, type_case.type != WeightType::kF32) << "the type must matter";
  }
  EXPECT_LE(relative_error(results[0], results[1]), 2e-2) << "repacking changes the order of sums, not the values";
}

INSTANTIATE_TEST_SUITE_P(All, WeightTypes,
                         ::testing::Combine(::testing::Values(TypeCase{WeightType::kF32, 1e-6}, TypeCase{WeightType::kF16, 1e-3},
                                                              TypeCase{WeightType::kBF16, 8e-3}, TypeCase{WeightType::kQ8_0, 1.2e-2},
                                                              TypeCase{WeightType::kQ6_K, 3e-2}, TypeCase{WeightType::kQ5_K, 5e-2},
                                                              TypeCase{WeightType::kQ4_K, 9e-2}, TypeCase{WeightType::kQ4_0, 1.2e-1}),
                                            ::testing::Values(1, 4, 33)));

TEST(WeightStore, RowsThatBlocksDoNotDivideAreRefused) {
  const Matrix matrix(8, 96, 3);
  WeightStore store(Device::open("cpu", 1));
  EXPECT_NO_THROW(store.matrix(matrix.info(), GGML_TYPE_Q8_0));
  try {
    store.matrix(matrix.info(), GGML_TYPE_Q4_K);
    FAIL() << "96 is no multiple of 256";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("test.weight"), std::string::npos) << error.what();
  }
}

TEST(WeightStore, StoredTypesStayWhereTheyAre) {
  const Matrix matrix(8, 64, 4);
  WeightStore store(Device::open("cpu", 1));
  const ggml_tensor* weight = store.matrix(matrix.info(), GGML_TYPE_F32);
  store.load();
  EXPECT_EQ(weight->data, matrix.values.data());
  EXPECT_EQ(store.n_bytes(), matrix.values.size() * sizeof(float));
}

TEST(WeightStore, ManyThreadsFillTheSameRows) {
  const Matrix matrix(5000, 256, 5);  // several chunks
  std::vector<std::vector<char>> contents;
  for (const int n_threads : {1, 4}) {
    WeightStore store(Device::open("cpu", n_threads), false);
    const ggml_tensor* weight = store.matrix(matrix.info(), GGML_TYPE_Q4_K);
    store.load();
    contents.emplace_back(ggml_nbytes(weight));
    ggml_backend_tensor_get(weight, contents.back().data(), 0, contents.back().size());
  }
  EXPECT_EQ(contents[0], contents[1]);
}

TEST(WeightStore, ErrorsOfASourceComeThrough) {
  WeightStore store(Device::open("cpu", 2));
  store.generated("broken", GGML_TYPE_F16, 4096, 1024, []() -> FillRows {
    return [](int64_t, int64_t, float*) { throw Error(ErrorCode::kInvalidData, "broken source"); };
  });
  EXPECT_THROW(store.load(), Error);
}

// A matrix as a file of that type holds it.
struct StoredBlocks {
  StoredBlocks(const Matrix& matrix, DType stored) : type(stored), n_rows(matrix.n_rows), n(matrix.n) {
    blocks.resize(bytes_of_row(type, n_rows * n));
    write_rows(type, matrix.values.data(), blocks.data(), n_rows, n);
  }
  TensorInfo info() const {
    return {"stored.weight", type, {n_rows, n}, [this] { return TensorBytes{blocks, nullptr}; }};
  }
  DType type;
  int64_t n_rows, n;
  std::vector<std::byte> blocks;
};

struct StoredCase {
  DType stored;
  WeightType type;
};

class StoredTypes : public ::testing::TestWithParam<StoredCase> {};

// Whether the blocks were in the file or are made at load, and whether the device repacks them: the same product, bit for bit.
TEST_P(StoredTypes, GiveWhatQuantisingAtLoadGives) {
  const Matrix matrix(40, 512, 6);
  const Matrix inputs(3, 512, 7);
  const StoredBlocks stored(matrix, GetParam().stored);
  const auto device = Device::open("cpu", 2);
  for (const bool repack : {true, false}) {
    WeightStore store(device, repack);
    const ggml_type type = weight_type(GetParam().type, DType::kF32);
    ggml_tensor* made = store.matrix(matrix.info(), type);
    ggml_tensor* read = store.matrix(stored.info(), weight_type(WeightType::kAsStored, stored.type));
    store.load();
    EXPECT_EQ(made->type, read->type);
    EXPECT_EQ(product(device, made, inputs.values), product(device, read, inputs.values)) << "repack " << repack;
    if (!repack) EXPECT_EQ(read->data, stored.blocks.data()) << "mapped, not copied";
  }
}

TEST_P(StoredTypes, AreReadAsFloats) {
  const Matrix matrix(2, 256, 8);
  const StoredBlocks stored(matrix, GetParam().stored);
  std::vector<float> values(matrix.values.size());
  read_f32(stored.type, stored.blocks.data(), values.size(), values.data());
  EXPECT_LE(relative_error(values, matrix.values), 0.12);
}

INSTANTIATE_TEST_SUITE_P(All, StoredTypes,
                         ::testing::Values(StoredCase{DType::kQ8_0, WeightType::kQ8_0}, StoredCase{DType::kQ6_K, WeightType::kQ6_K},
                                           StoredCase{DType::kQ5_K, WeightType::kQ5_K}, StoredCase{DType::kQ4_K, WeightType::kQ4_K},
                                           StoredCase{DType::kQ4_0, WeightType::kQ4_0},
                                           StoredCase{DType::kIQ4_NL, WeightType::kIQ4_NL}));

TEST(WeightStore, StoredBlocksNeverChangeTheirType) {
  const StoredBlocks stored(Matrix(8, 256, 9), DType::kQ8_0);
  WeightStore store(Device::open("cpu", 1));
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q4_0}) {
    try {
      store.matrix(stored.info(), type);
      FAIL() << "quantised weights became another type";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("Q8_0"), std::string::npos) << error.what();
    }
  }
}

TEST(WeightStore, PaddingIsRowsOfZeros) {
  const Matrix matrix(5, 64, 10);
  const StoredBlocks stored(matrix, DType::kQ8_0);
  const auto device = Device::open("cpu", 1);
  WeightStore store(device);
  ggml_tensor* floats = store.padded_matrix(matrix.info(), GGML_TYPE_F32, 8);
  ggml_tensor* blocks = store.padded_matrix(stored.info(), GGML_TYPE_Q8_0, 8);
  store.load();
  const Matrix input(1, 64, 11);
  for (ggml_tensor* weight : {floats, blocks}) {
    const std::vector<float> out = product(device, weight, input.values);
    ASSERT_EQ(out.size(), 8u);
    EXPECT_NE(out[4], 0.0f);
    EXPECT_EQ(std::vector<float>(out.begin() + 5, out.end()), std::vector<float>(3, 0.0f));
  }
}

TEST(Device, UnknownNamesAndThreadsAreRefused) {
  EXPECT_THROW(Device::open("cuda99", 1), Error);
  EXPECT_THROW(Device::open("cpu", -1), Error);
  EXPECT_THROW(Device::open("cpu", 100000), Error);
  EXPECT_FALSE(list_devices().empty());
  EXPECT_FALSE(list_cpu_features().empty());
}

TEST(Graph, InputsOfAnotherSizeAreRefused) {
  Graph graph(Device::open("cpu", 1), 8);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, 4);
  graph.output(ggml_scale(graph.context(), x, 2.0f));
  graph.allocate();
  const std::vector<float> five(5);
  EXPECT_THROW(graph.set(x, five), Error);
}

}  // namespace
}  // namespace csm::ggml
