// GGUF: what was written comes back, every stored malformed file is judged as its manifest says, and no damage is believed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <unistd.h>

#include "csm/error.h"
#include "io/file.h"
#include "io/gguf.h"
#include "io/json.h"

namespace csm {
namespace {

const std::string kMalformed = std::string(CSM_TEST_DATA) + "/malformed/";

GgufFile read_string(const std::string& bytes) {
  const auto owner = std::make_shared<std::string>(bytes);
  return read_gguf_bytes(std::as_bytes(std::span<const char>(owner->data(), owner->size())), owner, "test");
}

// The message of the error that reading must end in.
std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kInvalidData) {
  try {
    read_string(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::strchr(error.what(), '\n'), nullptr) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text(const std::string& value) { return raw<uint64_t>(value.size()) + value; }

std::string file_of(uint64_t n_tensors, uint64_t n_keys, const std::string& rest, uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(n_tensors) + raw(n_keys) + rest;
}
std::string tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
  std::string out = text(name) + raw(static_cast<uint32_t>(dims.size()));
  for (const uint64_t extent : dims) out += raw(extent);
  return out + raw(type) + raw(offset);
}
std::string padded(std::string bytes, size_t n_data) {
  bytes.resize((bytes.size() + 31) / 32 * 32 + n_data, '\0');
  return bytes;
}

std::string written(GgufWriter& writer, const std::vector<std::string>& data, size_t piece = 1000) {
  std::string out;
  writer.begin([&](std::span<const std::byte> bytes) { out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
  for (const std::string& one : data) {
    for (size_t i = 0; i < one.size(); i += piece) {
      writer.write(std::as_bytes(std::span(one.data() + i, std::min(piece, one.size() - i))));
    }
  }
  writer.finish();
  EXPECT_EQ(out.size(), writer.n_bytes());
  return out;
}

TEST(Gguf, MalformedFilesAreJudgedAsTheManifestSays) {
  int n_cases = 0;
  const nlohmann::json manifest = parse_json_file(kMalformed + "manifest.json", 1 << 24);
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("target") != "gguf") continue;
    ++n_cases;
    const std::string path = entry.at("path").get<std::string>();
    std::string message;
    try {
      read_gguf(kMalformed + path);
    } catch (const Error& error) {
      message = error.what();
      EXPECT_TRUE(error.code() == ErrorCode::kInvalidData || error.code() == ErrorCode::kUnsupported) << message;
      EXPECT_NE(message.find(path), std::string::npos) << "the message names the file: " << message;
    }
    const std::string expected = entry.at("expect").get<std::string>();
    if (expected != "either") EXPECT_EQ(message.empty(), expected == "accept") << path << ": " << message;
  }
  EXPECT_GE(n_cases, 24);
}

TEST(Gguf, ReadsTheUnitFile) {
  const GgufFile file = read_gguf(kMalformed + "gguf/ok_unit.gguf");
  EXPECT_EQ(file.version, 3u);
  EXPECT_TRUE(has_gguf_magic(file.where));
  EXPECT_FALSE(has_gguf_magic(kMalformed + "manifest.json") || has_gguf_magic(kMalformed + "gguf/magic.gguf"));
  EXPECT_FALSE(has_gguf_magic(kMalformed) || has_gguf_magic(kMalformed + "none"));
  EXPECT_EQ(file.text("general.architecture"), "csm");
  EXPECT_EQ(file.integer("csm.block_count", 0, 100), 2);
  EXPECT_EQ(file.find("tokenizer.ggml.tokens")->strings(), (std::vector<std::string_view>{"a", "bc", "def"}));
  ASSERT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.tensors[0].describe(), "F32 [3, 4]");
  EXPECT_EQ(file.tensors[2].describe(), "Q8_0 [2, 32]");
  EXPECT_EQ(file.tensors[2].n_bytes(), 68u);
  const TensorBytes bytes = file.tensors[0].fetch();
  EXPECT_TRUE(bytes.is_mapped);
  float first = 0;
  std::memcpy(&first, bytes.data.data(), sizeof first);
  EXPECT_NEAR(first, 0.0284, 1e-4);
}

TEST(Gguf, WhatWasWrittenComesBack) {
  GgufWriter writer;
  writer.set_text("a.text", "grüße\n");
  writer.set_u32("a.count", 7);
  writer.set_f32("a.number", 0.5f);
  writer.set_strings("a.strings", {"", "one", "two"});
  writer.set_i32s("a.ids", {3, -1});
  writer.add_tensor("matrix", DType::kF32, {3, 5});
  writer.add_tensor("blocks", DType::kQ4_K, {2, 512});
  writer.add_tensor("vector", DType::kBF16, {7});
  std::vector<std::string> data = {std::string(60, 'm'), std::string(4 * 144, 'b'), std::string(14, 'v')};
  for (const size_t piece : {size_t{1}, size_t{37}, size_t{1000}}) {
    GgufWriter again = writer;
    const GgufFile file = read_string(written(again, data, piece));
    EXPECT_EQ(file.text("a.text"), "grüße\n");
    EXPECT_EQ(file.integer("a.count", 0, 10), 7);
    EXPECT_EQ(file.number("a.number", 0, 1), 0.5);
    EXPECT_EQ(file.find("a.strings")->strings(), (std::vector<std::string_view>{"", "one", "two"}));
    EXPECT_EQ(file.find("a.ids")->integers(), (std::vector<int64_t>{3, -1}));
    ASSERT_EQ(file.tensors.size(), 3u);
    EXPECT_EQ(file.tensors[0].describe(), "F32 [3, 5]");
    EXPECT_EQ(file.tensors[1].describe(), "Q4_K [2, 512]");
    for (size_t i = 0; i < 3; ++i) {
      const TensorBytes bytes = file.tensors[i].fetch();
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data.data()), bytes.data.size()), data[i]);
    }
  }
}

TEST(Gguf, WriterRefusesWhatTheFormatCannotHold) {
  GgufWriter writer;
  writer.add_tensor("a", DType::kF32, {2});
  writer.set_u32("k", 1);
  EXPECT_THROW(writer.set_u32("k", 2), Error);
  EXPECT_THROW(writer.set_u32("", 2), Error);
  EXPECT_THROW(writer.add_tensor("a", DType::kF32, {2}), Error);
  EXPECT_THROW(writer.add_tensor("", DType::kF32, {2}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kF32, {}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kF32, {1, 1, 1, 1, 1}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kF32, {2, 0}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kF32, {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kQ8_0, {2, 31}), Error);
  EXPECT_THROW(writer.add_tensor("b", DType::kBool, {2}), Error);
  writer.begin([](std::span<const std::byte>) {});
  EXPECT_THROW(writer.finish(), Error) << "data is missing";
  const std::string data(8, 'x');
  writer.write(std::as_bytes(std::span(data)));
  writer.finish();
  EXPECT_THROW(writer.write(std::as_bytes(std::span(data))), Error) << "more data than declared";
}

TEST(Gguf, CountsAndLengthsMustFitTheFile) {
  constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
  EXPECT_NE(error_of(file_of(kHuge, 0, "")).find("tensor count"), std::string::npos);
  EXPECT_NE(error_of(file_of(0, kHuge, "")).find("key count"), std::string::npos);
  error_of(file_of(kMaxGgufTensors + 1, 0, std::string(4'000'000, '\0')));
  error_of(file_of(0, 1, raw(kHuge) + std::string(20, 'k')));
  error_of(file_of(0, 1, text("key") + raw<uint32_t>(8) + raw(kHuge)));
  error_of(file_of(0, 1, text("") + raw<uint32_t>(0) + "x"));
  // 2^61 eight-byte elements: the product wraps to zero.
  error_of(file_of(0, 1, text("key") + raw<uint32_t>(9) + raw<uint32_t>(10) + raw(uint64_t{1} << 61)));
  error_of(file_of(0, 1, text("key") + raw<uint32_t>(9) + raw<uint32_t>(8) + raw<uint64_t>(1'000'000) + std::string(64, '\0')));
  error_of(file_of(0, 1, text("key") + raw<uint32_t>(9) + raw<uint32_t>(9) + raw<uint64_t>(1) + std::string(64, '\0')),
           ErrorCode::kUnsupported);
  error_of(file_of(0, 1, text("key") + raw<uint32_t>(7) + "\2"));  // a bool of 2
  error_of(file_of(0, 2, text("key") + raw<uint32_t>(0) + "x" + text("key") + raw<uint32_t>(0) + "y"));
}

TEST(Gguf, DimensionsMustFitTheFile) {
  constexpr uint64_t kHalf = uint64_t{1} << 32;
  error_of(padded(file_of(1, 0, tensor("t", {kHalf, kHalf}, 0, 0)), 4096));          // elements wrap to zero
  error_of(padded(file_of(1, 0, tensor("t", {uint64_t{1} << 62}, 0, 0)), 4096));     // bytes wrap to zero
  error_of(padded(file_of(1, 0, tensor("t", {uint64_t{1} << 63}, 24, 0)), 4096));    // negative as int64
  error_of(padded(file_of(1, 0, tensor("t", {kHalf, 1, kHalf, 1}, 24, 0)), 4096));   // a type of one byte
  error_of(padded(file_of(1, 0, tensor("t", {4, 0}, 0, 0)), 4096));
  error_of(padded(file_of(1, 0, tensor("t", {1, 1, 1, 1, 1}, 0, 0)), 4096));
  error_of(padded(file_of(1, 0, tensor("t", {128}, 14, 0)), 4096));                  // half a block
  error_of(padded(file_of(1, 0, tensor("t", {4}, 99, 0)), 4096));
  error_of(padded(file_of(1, 0, tensor("t", {32}, 6, 0)), 4096), ErrorCode::kUnsupported);  // Q5_0
}

TEST(Gguf, DataMustLieInTheFileAlignedAndApart) {
  EXPECT_EQ(read_string(padded(file_of(1, 0, tensor("t", {8}, 0, 32)), 64)).tensors.size(), 1u);
  error_of(padded(file_of(1, 0, tensor("t", {8}, 0, 32)), 63));
  error_of(padded(file_of(1, 0, tensor("t", {8}, 0, 64)), 64));
  error_of(padded(file_of(1, 0, tensor("t", {8}, 0, 16)), 64));
  error_of(padded(file_of(1, 0, tensor("t", {8}, 0, ~uint64_t{0} - 31)), 64));  // offset + size wraps
  error_of(padded(file_of(2, 0, tensor("a", {16}, 0, 0) + tensor("b", {8}, 0, 32)), 64));  // overlap
  error_of(file_of(1, 0, tensor("t", {8}, 0, 0)));  // no data at all
  const auto aligned_to = [](uint32_t alignment) {
    return padded(file_of(1, 1, text("general.alignment") + raw<uint32_t>(4) + raw(alignment) + tensor("t", {8}, 0, 0)), 256);
  };
  EXPECT_EQ(read_string(aligned_to(64)).alignment, 64u);
  for (const uint32_t bad : {0u, 3u, 48u, 1u << 31}) error_of(aligned_to(bad));
  error_of(padded(file_of(1, 1, text("general.alignment") + text("") + tensor("t", {8}, 0, 0)), 64));
}

TEST(Gguf, OtherVersionsAreNamed) {
  EXPECT_EQ(read_string(file_of(0, 0, "", 2)).version, 2u);
  EXPECT_NE(error_of(file_of(0, 0, "", 1), ErrorCode::kUnsupported).find("version 1"), std::string::npos);
  EXPECT_NE(error_of(file_of(0, 0, "", 0x03000000), ErrorCode::kUnsupported).find("big-endian"), std::string::npos);
  error_of(file_of(0, 0, "", 4));
}

// Cut anywhere, or with any byte changed, a file is read or refused, and what is read lies inside it.
TEST(Gguf, NoDamageIsBelieved) {
  const std::string whole = read_text_file(kMalformed + "gguf/ok_unit.gguf", 1 << 20);
  const auto try_read = [](const std::string& bytes) {
    try {
      for (const TensorInfo& tensor : read_string(bytes).tensors) {
        ASSERT_LE(tensor.n_bytes(), bytes.size());
        ASSERT_EQ(tensor.fetch().data.size(), tensor.n_bytes());
        (void)all_finite(tensor.type, tensor.fetch().data.data(), static_cast<size_t>(tensor.n_elements()));
      }
    } catch (const Error& error) {
      ASSERT_EQ(std::strchr(error.what(), '\n'), nullptr);
    }
  };
  for (size_t n = 0; n < whole.size(); ++n) try_read(whole.substr(0, n));
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ change);
      try_read(bytes);
    }
  }
}

TEST(Gguf, KeysOfAnotherKindAreNamed) {
  const GgufFile file = read_gguf(kMalformed + "gguf/ok_unit.gguf");
  EXPECT_THROW(file.text("csm.block_count"), Error);
  EXPECT_THROW(file.integer("general.name", 0, 10), Error);
  EXPECT_THROW(file.integer("csm.block_count", 3, 10), Error) << "out of range";
  EXPECT_THROW(file.number("none", 0, 1), Error);
  EXPECT_EQ(file.find("none"), nullptr);
  EXPECT_EQ(file.find("general.name")->describe(), "\"unit\"");
  EXPECT_EQ(file.find("tokenizer.ggml.tokens")->describe(), "string[3]");
}

TEST(QuantisedTypes, SizesAndScales) {
  EXPECT_EQ(bytes_of_row(DType::kQ6_K, 512), 420u);
  EXPECT_EQ(bytes_of_row(DType::kF16, 5), 10u);
  EXPECT_TRUE(is_quantised(DType::kIQ4_NL));
  EXPECT_FALSE(is_quantised(DType::kBF16));
  EXPECT_THROW(size_of(DType::kQ4_0), Error);
  float value = 0;
  EXPECT_THROW(widen_to_f32(DType::kQ4_0, reinterpret_cast<const std::byte*>(&value), 32, &value), Error);
  for (const auto& [type, offset] : {std::pair{DType::kQ8_0, 0}, {DType::kQ6_K, 208}, {DType::kQ4_K, 2}, {DType::kQ5_K, 0}}) {
    std::vector<std::byte> blocks(2 * block_bytes(type));
    EXPECT_TRUE(all_finite(type, blocks.data(), 2 * block_elements(type)));
    const uint16_t infinity = 0x7C00;
    std::memcpy(blocks.data() + block_bytes(type) + offset, &infinity, sizeof infinity);
    EXPECT_FALSE(all_finite(type, blocks.data(), 2 * block_elements(type))) << to_string(type);
  }
}

TEST(Gguf, ReleasedPagesComeBack) {
  const std::string path = ::testing::TempDir() + "/csm_pages_" + std::to_string(::getpid()) + ".bin";
  {
    AtomicFile file(path);
    file.write(std::string(1 << 20, 'p'));
    file.commit();
  }
  const auto mapped = MappedFile::open(path);
  release_pages(mapped->bytes());
  for (const std::byte byte : mapped->bytes()) ASSERT_EQ(static_cast<char>(byte), 'p');
}

}  // namespace
}  // namespace csm
