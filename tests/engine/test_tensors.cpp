// csm/tensors.h: what is written comes back, golden files are read as they are, wrong shapes are refused.
#include <csm/error.h>
#include <csm/tensors.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "io/safetensors.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

class Tensors : public ::testing::Test {
 protected:
  Tensors() : folder_(fs::temp_directory_path() / ("csm_tensors_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Tensors() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }

 private:
  fs::path folder_;
};

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST_F(Tensors, WrittenTensorsComeBack) {
  TensorFile file;
  file.tensors["codes"] = {{2, 3}, std::vector<int32_t>{1, -2, 3, 4, 5, 2147483647}};
  file.tensors["hidden"] = {{2}, std::vector<float>{0.5f, -1e30f}};
  file.tensors["mask"] = {{3, 1}, std::vector<uint8_t>{0, 1, 255}};
  file.tensors["empty"] = {{0, 4}, std::vector<float>{}};
  file.metadata["eos"] = "True";
  write_tensors(path("a.safetensors"), file);

  const TensorFile read = read_tensors(path("a.safetensors"), {"codes", "hidden", "mask", "empty", "absent"});
  ASSERT_EQ(read.tensors.size(), 4u);
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(read.tensors.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(read.tensors.at(name).values, tensor.values) << name;
  }
  EXPECT_EQ(read.metadata, file.metadata);
  EXPECT_EQ(read.contents.size(), 4u);
}

TEST_F(Tensors, OnlyNamedTensorsAreRead) {
  const TensorFile read = read_tensors(CSM_TEST_DATA "/gold/csm-tiny-a/prompt_ctx.safetensors", {"frames", "mask"});
  ASSERT_EQ(read.tensors.size(), 2u);
  EXPECT_EQ(read.tensors.at("frames").shape, (std::vector<int64_t>{54, 33}));
  EXPECT_TRUE(std::holds_alternative<std::vector<int32_t>>(read.tensors.at("frames").values));
  EXPECT_TRUE(std::holds_alternative<std::vector<uint8_t>>(read.tensors.at("mask").values));
  EXPECT_EQ(read.metadata.count("conversation"), 1u);
  EXPECT_EQ(read.contents.size(), 5u);
}

TEST_F(Tensors, WideTypesAreNarrowed) {
  const std::vector<int64_t> integers = {7, -9};
  const std::vector<double> doubles = {0.25, -3};
  write_safetensors(path("wide.safetensors"),
                    {{"i", DType::kI64, {2}, integers.data()}, {"d", DType::kF64, {2}, doubles.data()}});
  const TensorFile read = read_tensors(path("wide.safetensors"), {"i", "d"});
  EXPECT_EQ(std::get<std::vector<int32_t>>(read.tensors.at("i").values), (std::vector<int32_t>{7, -9}));
  EXPECT_EQ(std::get<std::vector<float>>(read.tensors.at("d").values), (std::vector<float>{0.25f, -3.0f}));
}

TEST_F(Tensors, IntegersBeyond32BitsAreRefused) {
  const std::vector<int64_t> integers = {int64_t{1} << 31};
  write_safetensors(path("huge.safetensors"), {{"i", DType::kI64, {1}, integers.data()}});
  EXPECT_EQ(code_of([&] { read_tensors(path("huge.safetensors"), {"i"}); }), ErrorCode::kInvalidData);
}

TEST_F(Tensors, ShapesMustDescribeTheValues) {
  TensorFile file;
  file.tensors["x"] = {{2, 2}, std::vector<float>{1, 2, 3}};
  EXPECT_EQ(code_of([&] { write_tensors(path("bad.safetensors"), file); }), ErrorCode::kInvalidArgument);
  file.tensors["x"].shape = {-1, -3};
  EXPECT_EQ(code_of([&] { write_tensors(path("bad.safetensors"), file); }), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(path("bad.safetensors")));
}

TEST_F(Tensors, MissingFile) {
  EXPECT_EQ(code_of([&] { read_tensors(path("none.safetensors"), {"x"}); }), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace csm
