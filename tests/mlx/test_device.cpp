// The border to MLX: devices, threads, and exceptions that become csm::Error.
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <thread>

#include "backends/mlx/device.h"
#include "backends/mlx/weights.h"
#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

template <typename F>
ErrorCode code_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.code();
  }
  return ErrorCode::kIo;
}

TEST(MlxDevice, NamesAreCheckedAndListed) {
  EXPECT_EQ(code_of([] { Device::open("no such device"); }), ErrorCode::kInvalidArgument);
  const std::vector<DeviceInfo> devices = list_devices();
  ASSERT_FALSE(devices.empty());
  for (const DeviceInfo& device : devices) EXPECT_NE(Device::open(device.name), nullptr);
  EXPECT_GT(devices.back().memory_bytes, 0u);
  const bool has_gpu = devices.size() > 1;
  EXPECT_EQ(has_gpu ? ErrorCode::kUnsupported : code_of([] { Device::open("gpu"); }), ErrorCode::kUnsupported);
  EXPECT_EQ(Device::open("auto")->is_cpu(), !has_gpu);
}

TEST(MlxDevice, StreamsOfClosedDevicesAreUsedAgain) {
  Device::open("cpu");
  const uint64_t before = Device::n_streams();
  for (int i = 0; i < 20; ++i) Device::open("cpu");
  EXPECT_EQ(Device::n_streams(), before);
}

TEST(MlxDevice, ArraysMadeOnOneThreadAreComputedOnAnother) {
  const auto device = Device::open("cpu");
  std::optional<mx::array> lazy;
  std::thread([&] { lazy = mx::multiply(mx::array({1.0f, 2.0f, 3.0f}), mx::array(2.0f), device->stream()); }).join();
  std::vector<float> values(3);
  std::thread([&] {
    evaluate({*lazy});
    read(*lazy, values);
  }).join();
  EXPECT_EQ(values, (std::vector<float>{2, 4, 6}));
}

TEST(MlxDevice, OnlyOurErrorsLeave) {
  EXPECT_EQ(code_of([] { guarded("a test", [] { throw std::runtime_error("[matmul] shapes\ndo not fit"); }); }),
            ErrorCode::kInternal);
  EXPECT_EQ(code_of([] { guarded("a test", [] { throw std::bad_alloc(); }); }), ErrorCode::kResourceLimit);
  EXPECT_EQ(code_of([] { guarded("a test", [] { throw std::runtime_error("[malloc] Unable to allocate 1 bytes"); }); }),
            ErrorCode::kResourceLimit);
  EXPECT_EQ(code_of([] { guarded("a test", [] { fail(ErrorCode::kNotFound, "ours"); }); }), ErrorCode::kNotFound);
  const auto device = Device::open("cpu");
  // A real one: MLX refuses the shapes.
  EXPECT_EQ(
      code_of([&] {
        guarded("a product", [&] { evaluate({mx::matmul(mx::zeros({2, 3}), mx::zeros({2, 3}), device->stream())}); });
      }),
      ErrorCode::kInternal);
  EXPECT_EQ(guarded("a value", [] { return 7; }), 7);
}

TEST(MlxDevice, ReadingChecksTheSize) {
  const mx::array array({1.0f, 2.0f});
  std::vector<float> values(3);
  EXPECT_EQ(code_of([&] { read(array, values); }), ErrorCode::kInternal);
}

// Each setting is what MLX then says it is; unset ones go back to the device's own.
TEST(MlxDevice, MemorySettingsReachMlx) {
  Device::open("cpu");
  const size_t own_memory = mx::get_memory_limit();
  MemoryOptions memory;
  memory.memory_limit_bytes = size_t{3} << 30;
  memory.cache_limit_bytes = size_t{5} << 20;
  memory.clears_after_utterance = false;
  const auto device = Device::open("cpu", memory);
  EXPECT_EQ(mx::get_memory_limit(), size_t{3} << 30);
  const auto use = [&](int n_megabytes) {
    evaluate({mx::add(mx::zeros({n_megabytes << 18}, mx::float32, device->stream()), mx::array(1.0f), device->stream())});
  };
  mx::clear_cache();
  use(4);
  EXPECT_GE(mx::get_cache_memory(), size_t{4} << 20) << "freed buffers are kept";
  device->end_utterance();
  EXPECT_GE(mx::get_cache_memory(), size_t{4} << 20) << "and stay when an utterance ends";
  use(16);
  use(4);
  EXPECT_LE(mx::get_cache_memory(), size_t{12} << 20) << "but not many more than the limit";
  const auto own = Device::open("cpu");
  EXPECT_EQ(mx::get_memory_limit(), own_memory);
  use(4);
  EXPECT_GT(mx::get_cache_memory(), 0u);
  own->end_utterance();
  EXPECT_EQ(mx::get_cache_memory(), 0u);
}

TEST(MlxDevice, NoMoreIsWiredThanTheDeviceCan) {
  MemoryOptions memory;
  memory.wired_limit_bytes = size_t{1} << 30;
  EXPECT_EQ(code_of([&] { Device::open("cpu", memory); }), ErrorCode::kInvalidArgument);
  memory.wired_limit_bytes = 0;
  EXPECT_NE(Device::open("cpu", memory), nullptr);
}

TensorInfo tensor(DType type, std::vector<int64_t> shape) {
  TensorInfo info;
  info.name = "a.weight";
  info.type = type;
  info.shape = std::move(shape);
  const size_t n_bytes = info.n_bytes();
  info.fetch = [n_bytes] {
    auto bytes = std::make_shared<std::vector<std::byte>>(n_bytes);
    return TensorBytes{*bytes, bytes};
  };
  return info;
}

TEST(MlxWeights, UnusableTypesAreRefusedByName) {
  WeightLoader loader(Device::open("cpu"));
  const TensorInfo odd = tensor(DType::kF32, {4, 24});
  EXPECT_EQ(code_of([&] { loader.matrix({&odd}, {WeightType::kQ8_0}); }), ErrorCode::kUnsupported);
  const TensorInfo blocks = tensor(DType::kQ8_0, {4, 64});
  EXPECT_EQ(code_of([&] { loader.matrix({&blocks}, {WeightType::kF32}); }), ErrorCode::kUnsupported);
}

TEST(MlxWeights, ProductsAreTheSameInEveryLayout) {
  const auto device = Device::open("cpu");
  WeightLoader loader(device);
  std::vector<float> values(96 * 64);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i * 7919 % 201) - 100) / 64.0f;
  const mx::array rows = to_array(values, {96, 64});
  const mx::array x = to_array(std::span<const float>(values).first(64), {1, 64});
  const auto product = [&](WeightType type) {
    const Matrix matrix = loader.matrix("w", [&] { return rows; }, type, DType::kF32);
    EXPECT_GT(matrix.n_bytes, 0u);
    const mx::array y = mx::contiguous(matrix(x, device->stream()), false, device->stream());
    evaluate({y});
    std::vector<float> found(y.size());
    read(y, found);
    return found;
  };
  const std::vector<float> exact = product(WeightType::kF32);
  for (size_t row = 0; row < 96; ++row) {
    double sum = 0;
    for (size_t i = 0; i < 64; ++i) sum += double{values[row * 64 + i]} * values[i];
    EXPECT_NEAR(exact[row], sum, 1e-3);
  }
  const std::pair<WeightType, float> types[] = {{WeightType::kF16, 0.05f},
                                                {WeightType::kBF16, 0.4f},
                                                {WeightType::kQ8_0, 0.1f},
                                                {WeightType::kQ6_K, 0.4f},
                                                {WeightType::kQ4_0, 2.0f}};
  for (const auto& [type, tolerance] : types) {
    const std::vector<float> found = product(type);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], exact[i], tolerance) << static_cast<int>(type);
  }
  EXPECT_EQ(at_least_8_bits({WeightType::kQ4_0}).type, WeightType::kQ8_0);
  EXPECT_EQ(at_least_8_bits({WeightType::kF16}).type, WeightType::kF16);
}

}  // namespace
}  // namespace csm::mlx_backend
