// safetensors: the malformed set, what is written is read back, and the conversions of tensor.h.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include <csm/error.h>
#include "io/json.h"
#include "io/safetensors.h"

namespace csm {
namespace {

const std::string kData = CSM_TEST_DATA;

std::string temporary_file(const std::string& name) { return (std::filesystem::path(::testing::TempDir()) / name).string(); }

// Reads everything a reader could touch.
size_t read_all(const std::string& path) {
  size_t n_bytes = 0;
  (void)read_safetensors_metadata(path);
  for (const TensorInfo& tensor : read_safetensors(path)) {
    const TensorBytes bytes = tensor.fetch();
    EXPECT_EQ(bytes.data.size(), tensor.n_bytes()) << tensor.name;
    for (const std::byte byte : bytes.data) n_bytes += byte == std::byte{0} ? 1 : 1;
  }
  return n_bytes;
}

TEST(Safetensors, MalformedSet) {
  const auto manifest = parse_json_file(kData + "/malformed/manifest.json", 1 << 24);
  int n_cases = 0;
  for (const auto& item : manifest.at("cases")) {
    if (item.at("target") != "safetensors") continue;
    ++n_cases;
    const auto name = item.at("path").get<std::string>();
    const std::string path = kData + "/malformed/" + name;
    if (item.at("expect") == "accept") {
      EXPECT_NO_THROW(read_all(path)) << name;
      continue;
    }
    try {
      read_all(path);
      ADD_FAILURE() << name << " was accepted: " << item.at("why");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData) << name;
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GE(n_cases, 40);
}

TEST(Safetensors, MissingFileIsNotFound) {
  try {
    read_safetensors(temporary_file("absent.safetensors"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

// A file from a header and data.
std::vector<std::byte> file_of(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(header.size() >> (8 * i));
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  for (size_t i = 0; i < data_bytes; ++i) bytes[8 + header.size() + i] = static_cast<std::byte>(i);
  return bytes;
}

ErrorCode code_of(const std::string& header, size_t data_bytes) {
  try {
    const auto bytes = file_of(header, data_bytes);
    read_safetensors_bytes(bytes, nullptr, "memory");
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Safetensors, NamesAreUniqueAndTypesKnown) {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_EQ(code_of("{" + a + "," + a + "}", 4), ErrorCode::kInvalidData);
  EXPECT_EQ(code_of(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(R"({"__metadata__":{"a":1}})", 0), ErrorCode::kInvalidData);
  EXPECT_EQ(code_of(R"({"__metadata__":[]})", 0), ErrorCode::kInvalidData);
  EXPECT_EQ(code_of(R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}})", 0),
            ErrorCode::kInternal) << "a zero extent makes any shape empty";
}

TEST(Safetensors, UnalignedDataIsCopiedToAlignedMemory) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I32","shape":[2],"data_offsets":[1,9]}})";
  const auto bytes = file_of(header, 9);
  const auto tensors = read_safetensors_bytes(bytes, nullptr, "memory");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[1].name, "b");
  const TensorBytes data = tensors[1].fetch();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data.data.data()) % 4, 0u);
  EXPECT_EQ(data.data[0], std::byte{1});
  EXPECT_EQ(data.data[7], std::byte{8});
}

TEST(Safetensors, WritesWhatItReads) {
  const std::string path = temporary_file("round_trip.safetensors");
  const std::vector<uint8_t> mask = {1, 0, 1};
  const std::vector<float> values = {1.5f, -2.0f, 0.25f, 3.0f};
  const int32_t id = -7;
  write_safetensors(path, {{"mask", DType::kU8, {3}, mask.data()}, {"values", DType::kF32, {2, 2}, values.data()},
                           {"id", DType::kI32, {}, &id}, {"none", DType::kF32, {0, 5}, nullptr}},
                    {{"format", "test"}, {"text", "\xC3\xA9"}});
  EXPECT_EQ(read_safetensors_metadata(path).at("text"), "\xC3\xA9");
  size_t n_seen = 0;
  for (const TensorInfo& tensor : read_safetensors(path)) {
    const TensorBytes bytes = tensor.fetch();
    ++n_seen;
    if (tensor.name == "mask") {
      EXPECT_EQ(std::memcmp(bytes.data.data(), mask.data(), mask.size()), 0);
    }
    if (tensor.name == "values") {
      EXPECT_EQ(std::memcmp(bytes.data.data(), values.data(), 16), 0);
      EXPECT_EQ(tensor.describe(), "F32 [2, 2]");
    }
    if (tensor.name == "id") {
      EXPECT_EQ(std::memcmp(bytes.data.data(), &id, 4), 0);
      EXPECT_EQ(tensor.n_elements(), 1);
    }
    if (tensor.name == "none") {
      EXPECT_EQ(bytes.data.size(), 0u);
    }
  }
  EXPECT_EQ(n_seen, 4u);
  EXPECT_THROW(write_safetensors(path, {{"a", DType::kU8, {3}, mask.data()}, {"a", DType::kU8, {3}, mask.data()}}), Error);
  EXPECT_EQ(read_safetensors(path).size(), 4u) << "a failed write leaves the old file";
}

TEST(Tensor, HalfPrecisionRoundTripsAllValues) {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(bits.size());
  widen_to_f32(DType::kF16, reinterpret_cast<const std::byte*>(bits.data()), bits.size(), wide.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    const int exponent = static_cast<int>((i >> 10) & 31);
    const int mantissa = static_cast<int>(i & 1023);
    const double sign = (i & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(wide[i]), mantissa != 0) << i;
      EXPECT_EQ(std::isinf(wide[i]), mantissa == 0) << i;
    } else {
      const double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      ASSERT_EQ(wide[i], static_cast<float>(sign * value)) << i;
    }
    if (!std::isnan(wide[i])) ASSERT_EQ(f32_to_f16(wide[i]), bits[i]);
    ASSERT_EQ(all_finite(DType::kF16, reinterpret_cast<const std::byte*>(&bits[i]), 1), exponent != 31);
    const float from_bf16 = bf16_to_f32(bits[i]);
    if (!std::isnan(from_bf16)) ASSERT_EQ(f32_to_bf16(from_bf16), bits[i]);
    ASSERT_EQ(all_finite(DType::kBF16, reinterpret_cast<const std::byte*>(&bits[i]), 1), std::isfinite(from_bf16));
  }
}

TEST(Tensor, NarrowingRoundsToNearestEven) {
  EXPECT_EQ(f32_to_f16(65519.99f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3C00);         // tie to even
  EXPECT_EQ(f32_to_f16(1.0f + 0x3p-11f), 0x3C02);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);                // tie to zero
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(f32_to_f16(0x1p-14f - 0x1p-26f), 0x0400);     // rounds up into the normal range
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x3p-8f), 0x3F82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::nanf("")))));
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::nanf("")))));
}

TEST(Tensor, WidensIntegersAndFindsOneBadValue) {
  const std::vector<int64_t> integers = {-5, 1 << 20};
  std::vector<float> wide(2);
  widen_to_f32(DType::kI64, reinterpret_cast<const std::byte*>(integers.data()), 2, wide.data());
  EXPECT_EQ(wide, (std::vector<float>{-5.0f, 1048576.0f}));
  std::vector<double> values(10000, 1.0);
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  EXPECT_TRUE(all_finite(DType::kF64, bytes, values.size()));
  values[9999] = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(all_finite(DType::kF64, bytes, values.size()));
  EXPECT_TRUE(all_finite(DType::kF32, nullptr, 0));
  widen_to_f32(DType::kF32, nullptr, 0, nullptr);
}

}  // namespace
}  // namespace csm
