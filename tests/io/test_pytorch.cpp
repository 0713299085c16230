// PyTorch files: those that PyTorch itself wrote, in each form, and those put together byte by byte to do harm.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csm/error.h>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "io/file.h"
#include "io/pytorch.h"
#include "io/safetensors.h"
#include "io/strided.h"
#include "io/tensor_file.h"
#include "pytorch_files.h"

namespace csm {
namespace {

using namespace csm::test;

// Written by PyTorch 2.15: what each holds is in the name; ref.safetensors has the same tensors in order.
const std::string kFiles = std::string(CSM_TEST_DATA) + "/../../io/pytorch/";
const std::string kTiny = std::string(CSM_TEST_DATA) + "/ckpt/csm-tiny-f/";

std::vector<TensorInfo> read_string(const std::string& bytes) {
  const auto owner = std::make_shared<std::string>(bytes);
  return read_pytorch_bytes(bytes_of(*owner), owner, "test");
}

std::string message_of(const std::function<void()>& action, ErrorCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kInvalidData) {
  return message_of([&] { read_string(bytes); }, code);
}
std::string file_error(const std::string& name, ErrorCode code) {
  return message_of([&] { read_pytorch(kFiles + name); }, code);
}

std::string data_of(const TensorInfo& tensor) {
  const TensorBytes bytes = tensor.fetch();
  return {reinterpret_cast<const char*>(bytes.data.data()), bytes.data.size()};
}

void expect_same(const std::vector<TensorInfo>& found, const std::vector<TensorInfo>& expected) {
  std::map<std::string, const TensorInfo*> by_name;
  for (const TensorInfo& tensor : found) by_name[tensor.name] = &tensor;
  ASSERT_EQ(by_name.size(), expected.size());
  for (const TensorInfo& tensor : expected) {
    const auto it = by_name.find(tensor.name);
    ASSERT_NE(it, by_name.end()) << tensor.name;
    EXPECT_EQ(it->second->describe(), tensor.describe()) << tensor.name;
    EXPECT_EQ(data_of(*it->second), data_of(tensor)) << tensor.name;
  }
}

// Every tensor read whole.
void read_all(const std::string& bytes) {
  for (const TensorInfo& tensor : read_string(bytes)) {
    EXPECT_EQ(data_of(tensor).size(), tensor.n_bytes());
    EXPECT_LE(tensor.n_bytes(), bytes.size());
  }
}

std::string file_bytes(const std::string& path) { return read_text_file(path, 1 << 24); }

TEST(PyTorch, EveryFormThatPyTorchWrites) {
  const auto expected = read_safetensors(kFiles + "ref.safetensors");
  EXPECT_EQ(expected.size(), 13u);  // transposed, permuted, sliced, empty and scalar ones; ten types
  for (const char* name : {"zip2.pt", "zip_p1.pt", "zip_p4.pt", "nocrc.pt", "legacy.pt", "legacy_p4.pt"}) {
    SCOPED_TRACE(name);
    expect_same(read_tensor_file(kFiles + name), expected);
    expect_same(read_string(file_bytes(kFiles + name)), expected);
  }
}

TEST(PyTorch, OriginalCheckpointHasTheWeightsOfItsSafetensors) {
  const auto tensors = read_pytorch(kTiny + "original-pt/ckpt.pt");
  expect_same(tensors, read_safetensors(kTiny + "original/model.safetensors"));
  for (const TensorInfo& tensor : tensors) EXPECT_TRUE(tensor.fetch().is_mapped) << tensor.name;  // no copy
}

TEST(PyTorch, WeightsWithinTrainingState) {
  const auto expected = read_pytorch(kFiles + "state.pt");
  EXPECT_EQ(expected.size(), 7u);
  EXPECT_EQ(expected.front().name, "0.weight");
  for (const char* name : {"train.pt", "best.pt"}) {
    const auto found = read_pytorch(kFiles + name);
    ASSERT_EQ(found.size(), expected.size()) << name;
    EXPECT_EQ(data_of(found[0]), data_of(expected[0])) << name;
  }
  const std::string tensor = tensor_op(storage_op("FloatStorage", "0", 6), 0, {2, 3}, {3, 1});
  EXPECT_EQ(read_string(archive_of(dict_op(dict_op(tensor), "unusual"))).size(), 1u);
  const std::string both = "}(" + text_op("one") + dict_op(tensor) + text_op("two") + dict_op(tensor) + "u";
  EXPECT_NE(error_of(archive_of(both)).find("\"one\", \"two\""), std::string::npos);
  EXPECT_NE(error_of(archive_of("}")).find("no dict"), std::string::npos);
  EXPECT_NE(error_of(archive_of("]"), ErrorCode::kUnsupported).find("list"), std::string::npos);
  std::string deep = tensor;
  for (int i = 0; i < 8; ++i) deep = dict_op(deep, "model");
  EXPECT_NE(error_of(archive_of(deep)), "");
  EXPECT_NE(error_of(archive_of("}q\x01" + text_op("model") + "h\x01s")), "");  // a dict that holds itself
}

TEST(PyTorch, WhatIsNotTensorsIsNamed) {
  EXPECT_NE(file_error("evil.pt", ErrorCode::kUnsupported).find("posix.system"), std::string::npos);
  EXPECT_NE(file_error("module.pt", ErrorCode::kUnsupported).find("torch.nn.modules.container.Sequential"), std::string::npos);
  EXPECT_NE(file_error("args.pt", ErrorCode::kUnsupported).find("argparse.Namespace"), std::string::npos);
  EXPECT_NE(file_error("script.pt", ErrorCode::kUnsupported).find("TorchScript"), std::string::npos);
  EXPECT_NE(file_error("complex.pt", ErrorCode::kUnsupported).find("ComplexFloatStorage"), std::string::npos);
  EXPECT_NE(file_error("neg.pt", ErrorCode::kUnsupported).find("resolve_neg"), std::string::npos);
  EXPECT_NE(file_error("expand.pt", ErrorCode::kUnsupported).find("contiguous"), std::string::npos);
  EXPECT_NE(message_of([] { read_pytorch(kFiles + "none.pt"); }, ErrorCode::kNotFound), "");
  EXPECT_NE(error_of("").find("neither"), std::string::npos);
  EXPECT_NE(error_of("GGUF").find("neither"), std::string::npos);
}

TEST(PyTorch, SizesAndStridesMustFitTheStorage) {
  const auto with = [](int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, int64_t n = 6) {
    return archive_of(dict_op(tensor_op(storage_op("FloatStorage", "0", n), offset, shape, strides)));
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(read_string(with(0, {2, 3}, {3, 1})).size(), 1u);
  EXPECT_EQ(read_string(with(5, {1, 1}, {kHuge, 7})).size(), 1u);  // a dimension of one never moves
  EXPECT_EQ(read_string(with(6, {0, kHuge}, {1, 1}))[0].n_elements(), 0);
  for (const auto& bytes : {with(1, {2, 3}, {3, 1}), with(-1, {1}, {1}), with(7, {0}, {1}), with(0, {-1}, {1}), with(0, {2}, {-1}),
                            with(0, {2, kHuge}, {1, 1}), with(0, {3, 3}, {kHuge / 2, kHuge / 2}), with(0, {2}, {kHuge}),
                            with(0, {int64_t{1} << 32, int64_t{1} << 32}, {0, 0}), with(kHuge, {2}, {1}), with(0, {2, 3}, {3}),
                            with(0, {2, 3}, {3, 1}, 5), with(0, {2, 3}, {3, 1}, int64_t{1} << 62), with(0, {2, 3}, {3, 1}, -6)}) {
    EXPECT_NE(error_of(bytes), "");
  }
  EXPECT_NE(error_of(with(0, {1000, 3}, {0, 1}), ErrorCode::kUnsupported).find("expanded"), std::string::npos);
  EXPECT_NE(error_of(with(0, {2, 4}, {2, 1}), ErrorCode::kUnsupported).find("expanded"), std::string::npos);  // rows overlap
  EXPECT_NE(error_of(with(0, std::vector<int64_t>(40, 1), std::vector<int64_t>(40, 1))), "");
}

TEST(PyTorch, CopiesHaveABudget) {
  const std::string transposed = tensor_op(storage_op("FloatStorage", "0", 1024), 0, {32, 32}, {1, 32});
  std::string many = "}(";
  for (int i = 0; i < 40; ++i) many += text_op("x" + std::to_string(i)) + transposed;
  EXPECT_NE(error_of(archive_of(many + "u", std::string(4096, '\0')), ErrorCode::kResourceLimit).find("contiguous"), std::string::npos);
}

TEST(PyTorch, StoragesThatAreNotThereOrNotTheirs) {
  const auto with = [](const std::string& storage) { return archive_of(dict_op(tensor_op(storage, 0, {2, 3}, {3, 1}))); };
  EXPECT_NE(error_of(with(storage_op("FloatStorage", "1", 6))).find("does not hold"), std::string::npos);
  EXPECT_NE(error_of(with(storage_op("FloatStorage", "../data/0", 6))).find("does not hold"), std::string::npos);
  EXPECT_NE(error_of(with(storage_op("DoubleStorage", "0", 6))).find("24 bytes; expected 48"), std::string::npos);
  EXPECT_NE(error_of(with(storage_op("NoStorage", "0", 6)), ErrorCode::kUnsupported).find("torch.NoStorage"), std::string::npos);
  for (const std::string& id : {std::string("NQ"), text_op("0") + "Q", std::string(")Q"), "(" + text_op("module") + "NNNNtQ", std::string("P0\n"),
                                "(" + text_op("storage") + text_op("os.system") + text_op("0") + text_op("cpu") + "K\x06tQ",
                                "(" + text_op("storage") + global_op("torch", "Size") + text_op("0") + text_op("cpu") + "K\x06tQ"}) {
    EXPECT_THROW(read_string(with(id)), Error) << id;
  }
  const std::string v2 = global_op("torch._utils", "_rebuild_tensor_v2");
  for (const std::string& call : {v2 + ")R", v2 + "NNN\x87R", global_op("torch._utils", "_rebuild_parameter") + ")R",
                                  global_op("torch._tensor", "_rebuild_from_type_v2") + "NNN\x87R"}) {
    EXPECT_NE(error_of(archive_of(dict_op(call))).find("not described"), std::string::npos);
  }
  const std::string tensor = tensor_op(storage_op("FloatStorage", "0", 6), 0, {2, 3}, {3, 1});
  EXPECT_NE(error_of(archive_of("}(" + text_op("x") + tensor + text_op("x") + tensor + "u")).find("twice"), std::string::npos);
}

TEST(PyTorch, ArchivesThatAreNotWhole) {
  const std::string object = dict_op(tensor_op(storage_op("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}));
  const std::string data(24, '\0');
  EXPECT_NE(error_of(zip_of({{"a/data/0", data}})).find("data.pkl"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a/data.pkl", pickled(object)}, {"b/data/0", data}})).find("does not hold"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a/data.pkl", pickled(object)}, {"a/byteorder", "big"}, {"a/data/0", data}}), ErrorCode::kUnsupported)
                .find("little-endian"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a/data.pkl", pickled(object)}, {"a/data/0", data, 8}}), ErrorCode::kUnsupported).find("compressed"),
            std::string::npos);
  std::string damaged = archive_of(object);
  damaged[damaged.find("FloatStorage")] = 'f';
  EXPECT_NE(error_of(damaged).find("check value"), std::string::npos);
}

TEST(PyTorch, OlderFormIsNotTrustedEither) {
  const std::string object = dict_op(tensor_op(storage_op("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}));
  const std::string data(24, 'x');
  const auto tensors = read_string(legacy_of(object, data, 6));
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(data_of(tensors[0]), data);
  EXPECT_NE(error_of(legacy_of(object, data, 5)).find("5 elements"), std::string::npos);
  EXPECT_NE(error_of(legacy_of(object, data + "y", 6)).find("after the last"), std::string::npos);
  EXPECT_NE(error_of(legacy_of("}", data, 6)).find("nothing in it uses"), std::string::npos);
  EXPECT_NE(error_of(legacy_of(dict_op(tensor_op(storage_op("FloatStorage", "0", int64_t{1} << 61), 0, {1}, {1})), data, 6))
                .find("larger than any file"), std::string::npos);
  EXPECT_NE(error_of(pickled("N")).find("torch.save"), std::string::npos);
  EXPECT_NE(error_of(legacy_of(global_op("os", "system") + text_op("id") + "\x85R", data, 6), ErrorCode::kUnsupported).find("os.system"),
            std::string::npos);
}

TEST(PyTorch, NothingCutIsBelieved) {
  for (const char* name : {"state.pt", "legacy.pt"}) {
    const std::string bytes = file_bytes(kFiles + name);
    for (size_t n = 0; n < bytes.size(); ++n) EXPECT_THROW(read_all(bytes.substr(0, n)), Error) << name << " " << n;
  }
}

TEST(PyTorch, NoDamageHarms) {
  for (const char* name : {"zip2.pt", "legacy.pt", "train.pt"}) {
    const std::string good = file_bytes(kFiles + name);
    size_t n_refused = 0;
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ (i % 2 == 0 ? 0xFF : 1));
      try {
        read_all(bytes);
      } catch (const Error& error) {
        EXPECT_EQ(std::strchr(error.what(), '\n'), nullptr) << error.what();
        ++n_refused;
      }
    }
    EXPECT_GT(n_refused, good.size() / 8) << name;
  }
}

TEST(Strided, CopiesIntoOrder) {
  std::vector<int32_t> buffer(24);
  for (int32_t i = 0; i < 24; ++i) buffer[static_cast<size_t>(i)] = i;
  const StridedView view{1, {2, 3, 2}, {1, 4, 12}};
  ASSERT_EQ(fit_of(view, 24), StridedFit::kMustBeCopied);
  std::vector<int32_t> out(12);
  copy_in_order(view, reinterpret_cast<const std::byte*>(buffer.data()), 4, reinterpret_cast<std::byte*>(out.data()));
  size_t at = 0;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 2; ++k) EXPECT_EQ(out[at++], 1 + i + 4 * j + 12 * k);
    }
  }
  EXPECT_EQ(fit_of({2, {2, 3, 4}, {12, 4, 1}}, 24), StridedFit::kOutside);
  EXPECT_EQ(fit_of({0, {2, 3, 4}, {12, 4, 1}}, 24), StridedFit::kInOrder);
  EXPECT_EQ(fit_of({0, {}, {}}, 1), StridedFit::kInOrder);
  EXPECT_EQ(fit_of({1, {}, {}}, 1), StridedFit::kOutside);
  EXPECT_EQ(fit_of({0, {2, 2}, {1, 1}}, 24), StridedFit::kOverlapping);
  EXPECT_EQ(fit_of({0, {4, 4}, {3, 1}}, 24), StridedFit::kOverlapping);
}

}  // namespace
}  // namespace csm
