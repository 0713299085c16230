#include "io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>

#include "base/fail.h"
#include "io/file.h"
#include "io/json.h"
#include "io/strided.h"

namespace csm {
namespace {

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr uint64_t kAlignment = 8;

struct Entry {
  TensorInfo info;
  uint64_t begin = 0;
  uint64_t end = 0;
};

std::optional<DType> parse_dtype(const std::string& name) {
  for (const DType type : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
                           DType::kI8, DType::kU8, DType::kBool, DType::kU32}) {
    if (name == to_string(type)) return type;
  }
  return std::nullopt;
}

DType read_dtype(const JsonObject& entry, const std::string& where, const std::string& name) {
  const std::string text = entry.text("dtype");
  const auto type = parse_dtype(text);
  if (type) return *type;
  for (const char* known : {"U16", "U64", "C64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4"}) {
    if (text == known) {
      fail(ErrorCode::kUnsupported, "'{}': tensor '{}' has type {}, which is not supported; convert it to F32, F16 or BF16",
           where, name, text);
    }
  }
  fail(ErrorCode::kInvalidData, "'{}': tensor '{}' has unknown type {}; expected F32, F16, BF16, ...", where, name,
       brief(json(text)));
}

// A list of non-negative 64-bit integers. Errors name the tensor and the field.
std::vector<int64_t> read_counts(const json& entry, const char* key, const std::string& where, const std::string& name) {
  const auto it = entry.find(key);
  if (it == entry.end() || !it->is_array()) {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' needs an array '{}'", where, name, key);
  }
  std::vector<int64_t> counts;
  for (const json& value : *it) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail(ErrorCode::kInvalidData, "'{}': tensor '{}' has {} in '{}'; expected integers from 0 to 2^63-1", where, name,
           brief(value), key);
    }
    counts.push_back(static_cast<int64_t>(value.get<uint64_t>()));
  }
  return counts;
}

// Bytes of a tensor, nullopt when they exceed 63 bits.
std::optional<uint64_t> checked_bytes(DType type, const std::vector<int64_t>& shape) {
  int64_t n = static_cast<int64_t>(size_of(type));
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(n, extent, &n)) return std::nullopt;
  }
  return static_cast<uint64_t>(n);
}

Entry read_entry(const std::string& name, const json& value, uint64_t data_bytes, const std::string& where) {
  const JsonObject fields(value, where, name);
  Entry entry;
  entry.info.name = name;
  entry.info.type = read_dtype(fields, where, name);
  entry.info.shape = read_counts(value, "shape", where, name);
  const std::vector<int64_t> offsets = read_counts(value, "data_offsets", where, name);
  if (offsets.size() != 2) {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' has {} data_offsets; expected 2", where, name, offsets.size());
  }
  entry.begin = static_cast<uint64_t>(offsets[0]);
  entry.end = static_cast<uint64_t>(offsets[1]);
  if (entry.begin > entry.end || entry.end > data_bytes) {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' lies at bytes {}..{} of {} data bytes; the file is truncated or damaged",
         where, name, entry.begin, entry.end, data_bytes);
  }
  const auto n_bytes = checked_bytes(entry.info.type, entry.info.shape);
  if (!n_bytes || *n_bytes != entry.end - entry.begin) {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' ({}) does not fill its {} data bytes", where, name, entry.info.describe(),
         entry.end - entry.begin);
  }
  return entry;
}

// The header, with the number of data bytes behind it.
json read_header(std::span<const std::byte> bytes, const std::string& where, uint64_t& data_bytes) {
  if (bytes.size() < kLengthBytes) {
    fail(ErrorCode::kInvalidData, "'{}' is truncated: {} bytes, a safetensors file has at least {}", where, bytes.size(),
         kLengthBytes + 2);
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  if (length > kMaxHeaderBytes) {
    fail(ErrorCode::kInvalidData, "'{}' is not a safetensors file: header of {} bytes, at most {} are allowed", where, length,
         kMaxHeaderBytes);
  }
  if (length > bytes.size() - kLengthBytes) {
    fail(ErrorCode::kInvalidData, "'{}' is truncated: the header claims {} bytes, the file has {} after the length", where,
         length, bytes.size() - kLengthBytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, static_cast<size_t>(length));
  data_bytes = bytes.size() - kLengthBytes - length;
  json header = parse_json(text, where + " (header)");
  (void)JsonObject(header, where + " (header)");
  return header;
}

std::map<std::string, std::string> read_metadata(const json& header, const std::string& where) {
  std::map<std::string, std::string> metadata;
  const auto it = header.find("__metadata__");
  if (it == header.end()) return metadata;
  if (!it->is_object()) fail(ErrorCode::kInvalidData, "'{}': __metadata__ must be an object of strings", where);
  for (const auto& [key, value] : it->items()) {
    if (!value.is_string()) {
      fail(ErrorCode::kInvalidData, "'{}': __metadata__ '{}' must be a string; found {}", where, key, brief(value));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// Data must follow each other without holes to the last byte, as the format demands.
void check_contiguous(const std::vector<Entry>& entries, uint64_t data_bytes, const std::string& where) {
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      fail(ErrorCode::kInvalidData, "'{}': data of tensor '{}' begins at byte {}; expected {} ({})", where, entry.info.name,
           entry.begin, end, entry.begin < end ? "it overlaps the one before" : "bytes that belong to no tensor");
    }
    end = entry.end;
  }
  if (end != data_bytes) {
    fail(ErrorCode::kInvalidData, "'{}': {} bytes after the last tensor belong to no tensor", where, data_bytes - end);
  }
}

std::string padded_header(const std::vector<const TensorToWrite*>& order, const std::map<std::string, std::string>& metadata,
                          const std::string& path) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite* tensor : order) {
    const auto n_bytes = checked_bytes(tensor->type, tensor->shape);
    if (!n_bytes || header.contains(tensor->name) || tensor->name == "__metadata__") {
      fail(ErrorCode::kInvalidArgument, "cannot write '{}': tensor '{}' has a bad shape or a name that is taken", path,
           tensor->name);
    }
    header[tensor->name] = {{"dtype", to_string(tensor->type)}, {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + *n_bytes}}};
    offset += *n_bytes;
  }
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return text;
}

std::vector<TensorInfo> read_bytes(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                                   const std::string& where, bool is_mapped) {
  uint64_t data_bytes = 0;
  const json header = read_header(bytes, where, data_bytes);
  (void)read_metadata(header, where);
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") entries.push_back(read_entry(name, value, data_bytes, where));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.info.name) < std::tie(b.begin, b.end, b.info.name);
  });
  check_contiguous(entries, data_bytes, where);
  const auto data = bytes.subspan(bytes.size() - static_cast<size_t>(data_bytes));
  std::vector<TensorInfo> tensors;
  for (Entry& entry : entries) {
    const auto view = data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
    entry.info.fetch = [view, owner, element_bytes = size_of(entry.info.type), is_mapped] {
      return aligned_bytes(view, owner, element_bytes, is_mapped);
    };
    tensors.push_back(std::move(entry.info));
  }
  return tensors;
}

}  // namespace

std::vector<TensorInfo> read_safetensors_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                               const std::string& where) {
  return read_bytes(bytes, owner, where, false);
}

std::vector<TensorInfo> read_safetensors(const std::string& path) {
  const auto file = MappedFile::open(path);
  return read_bytes(file->bytes(), file, path, true);
}

std::map<std::string, std::string> read_safetensors_metadata(const std::string& path) {
  uint64_t data_bytes = 0;
  return read_metadata(read_header(MappedFile::open(path)->bytes(), path, data_bytes), path);
}

void write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(),
                   [](const TensorToWrite* a, const TensorToWrite* b) { return size_of(a->type) > size_of(b->type); });
  const std::string header = padded_header(order, metadata, path);
  unsigned char length[kLengthBytes];
  for (size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  AtomicFile file(path);
  file.write(length, sizeof length);
  file.write(header);
  for (const TensorToWrite* tensor : order) file.write(tensor->data, static_cast<size_t>(*checked_bytes(tensor->type, tensor->shape)));
  file.commit();
}

}  // namespace csm
