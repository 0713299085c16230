// Pickles, zip archives and PyTorch files put together byte by byte, so that any part of them can be wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "io/tensor.h"
#include "io/zip.h"

namespace csm::test {

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span<const char>(text.data(), text.size())); }

inline std::string le(uint64_t value, int n_bytes) {
  std::string out;
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// ---- pickles of protocol 2

inline std::string pickled(const std::string& operations) { return "\x80\x02" + operations + "."; }
inline std::string text_op(const std::string& text) { return "X" + le(text.size(), 4) + text; }
inline std::string int_op(int64_t value) { return "\x8a\x08" + le(static_cast<uint64_t>(value), 8); }
inline std::string global_op(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
inline std::string tuple_op(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t value : values) out += int_op(value);
  return out + "t";
}
inline std::string storage_op(const std::string& type, const std::string& key, int64_t n) {
  return "(" + text_op("storage") + global_op("torch", type) + text_op(key) + text_op("cpu") + int_op(n) + "tQ";
}
inline std::string tensor_op(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                             const std::vector<int64_t>& strides) {
  return global_op("torch._utils", "_rebuild_tensor_v2") + "(" + storage + int_op(offset) + tuple_op(shape) + tuple_op(strides) + "\x89" +
         global_op("collections", "OrderedDict") + ")RtR";
}
// {"x": value}
inline std::string dict_op(const std::string& value, const std::string& name = "x") { return "}" + text_op(name) + value + "s"; }

// ---- zip archives

struct ZipPart {
  std::string name;
  std::string data;
  uint16_t method = 0;
  uint16_t flags = 0;
  std::string local_name = {};  // "": as in the directory
  int64_t offset_error = 0;     // added to the offset in the directory
  uint64_t wrong_size = 0;      // in the directory, instead of the true one
};

enum class ZipEnds { kShort, kWide };  // wide: sizes, offsets and counts in their 64-bit forms

inline std::string zip_of(const std::vector<ZipPart>& parts, ZipEnds ends = ZipEnds::kShort, const std::string& comment = "") {
  const bool wide = ends == ZipEnds::kWide;
  std::string out, directory;
  for (const ZipPart& part : parts) {
    const uint64_t offset = out.size() + static_cast<uint64_t>(part.offset_error);
    const std::string& local = part.local_name.empty() ? part.name : part.local_name;
    const uint32_t crc = zip_crc32(bytes_of(part.data));
    const uint64_t size = part.wrong_size != 0 ? part.wrong_size : part.data.size();
    const auto narrow = [&](uint64_t value) { return le(wide ? 0xFFFFFFFF : value, 4); };
    const std::string local_extra = wide ? le(1, 2) + le(16, 2) + le(size, 8) + le(size, 8) : "";
    out += "PK\3\4" + le(45, 2) + le(part.flags, 2) + le(part.method, 2) + le(0, 4) + le(crc, 4) + narrow(size) + narrow(size) +
           le(local.size(), 2) + le(local_extra.size(), 2) + local + local_extra + part.data;
    const std::string extra = wide ? le(1, 2) + le(24, 2) + le(size, 8) + le(size, 8) + le(offset, 8) : "";
    directory += "PK\1\2" + le(45, 2) + le(45, 2) + le(part.flags, 2) + le(part.method, 2) + le(0, 4) + le(crc, 4) + narrow(size) +
                 narrow(size) + le(part.name.size(), 2) + le(extra.size(), 2) + le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + narrow(offset) +
                 part.name + extra;
  }
  const uint64_t at = out.size();
  out += directory;
  if (wide) {
    const uint64_t end = out.size();
    out += "PK\6\6" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 4) + le(0, 4) + le(parts.size(), 8) + le(parts.size(), 8) +
           le(directory.size(), 8) + le(at, 8);
    out += "PK\6\7" + le(0, 4) + le(end, 8) + le(1, 4);
  }
  return out + "PK\5\6" + le(0, 4) + le(wide ? 0xFFFF : parts.size(), 2) + le(wide ? 0xFFFF : parts.size(), 2) +
         le(wide ? 0xFFFFFFFF : directory.size(), 4) + le(wide ? 0xFFFFFFFF : at, 4) + le(comment.size(), 2) + comment;
}

// An archive of torch.save: the pickle of this object, and one storage "0" of these bytes.
inline std::string archive_of(const std::string& object, const std::string& storage = std::string(24, '\0')) {
  return zip_of({{"a/data.pkl", pickled(object)}, {"a/byteorder", "little"}, {"a/data/0", storage}});
}

// What torch.save would write of these tensors.
inline std::string archive_of(const std::vector<TensorInfo>& tensors) {
  const auto storage_name = [](DType type) {
    return type == DType::kF32 ? "FloatStorage" : type == DType::kF16 ? "HalfStorage" : type == DType::kBF16 ? "BFloat16Storage" : "BoolStorage";
  };
  std::vector<ZipPart> parts(1);
  std::string object = "}(";
  for (const TensorInfo& tensor : tensors) {
    const std::string key = std::to_string(parts.size());
    const TensorBytes bytes = tensor.fetch();
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
    object += text_op(tensor.name) + tensor_op(storage_op(storage_name(tensor.type), key, tensor.n_elements()), 0, tensor.shape, strides);
    parts.push_back({"a/data/" + key, std::string(reinterpret_cast<const char*>(bytes.data.data()), bytes.data.size())});
  }
  parts[0] = {"a/data.pkl", pickled(object + "u")};
  return zip_of(parts);
}

// The older form, with one storage "0".
inline std::string legacy_of(const std::string& object, const std::string& storage, int64_t n_elements) {
  return pickled("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") + pickled("M" + le(1001, 2)) +
         pickled(dict_op("\x88", "little_endian")) + pickled(object) + pickled("]" + text_op("0") + "a") +
         le(static_cast<uint64_t>(n_elements), 8) + storage;
}

}  // namespace csm::test
