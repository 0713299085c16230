#include "io/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/fail.h"
#include "io/file.h"
#include "io/gguf_types.h"
#include "io/json.h"

namespace csm {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they lie in the file");

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kMaxNameBytes = 65'535;     // the specification's bound for keys
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;   // length, type, one byte of value
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint32_t kMaxVersion = 3;

std::string label(std::string_view name) { return brief(nlohmann::json(std::string(name.substr(0, 100)))); }

// Bytes of one value; 0 for strings and arrays, whose size is in the file.
size_t size_of_value(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool: return 1;
    case GgufType::kU16:
    case GgufType::kI16: return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32: return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64: return 8;
    case GgufType::kString:
    case GgufType::kArray: break;
  }
  return 0;
}

template <typename T>
T load(std::string_view bytes, size_t offset = 0) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Reads forward and never beyond the end.
class Cursor {
 public:
  Cursor(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  size_t position() const { return position_; }
  uint64_t n_left() const { return bytes_.size() - position_; }

  std::string_view take(uint64_t n, const char* what) {
    if (n > n_left()) {
      fail(ErrorCode::kInvalidData, "'{}' is truncated: {} at byte {} needs {} bytes, the file has {} more", where_, what, position_,
           n, n_left());
    }
    const std::string_view taken = bytes_.substr(position_, static_cast<size_t>(n));
    position_ += static_cast<size_t>(n);
    return taken;
  }

  template <typename T>
  T number(const char* what) {
    return load<T>(take(sizeof(T), what));
  }

  // A string with its length; at most max_bytes long.
  std::string_view text(const char* what, uint64_t max_bytes = std::numeric_limits<uint64_t>::max()) {
    const size_t at = position_;
    const auto n = number<uint64_t>(what);
    if (n > n_left() || n > max_bytes) {
      fail(ErrorCode::kInvalidData, "'{}': {} at byte {} is a string of {} bytes; expected at most {}; the file is truncated or damaged",
           where_, what, at, n, std::min(max_bytes, n_left()));
    }
    return take(n, what);
  }

 private:
  std::string_view bytes_;
  const std::string& where_;
  size_t position_ = 0;
};

GgufType read_value_type(Cursor& cursor, const std::string& where, std::string_view key) {
  const auto number = cursor.number<uint32_t>("a value type");
  if (number > static_cast<uint32_t>(GgufType::kF64)) {
    fail(ErrorCode::kInvalidData, "'{}': key {} has the unknown value type {}; expected 0 to 12", where, label(key), number);
  }
  return static_cast<GgufType>(number);
}

void check_booleans(std::string_view bytes, const std::string& where, std::string_view key) {
  for (const char byte : bytes) {
    if (byte != 0 && byte != 1) {
      fail(ErrorCode::kInvalidData, "'{}': key {} has a bool of {}; expected 0 or 1", where, label(key),
           static_cast<unsigned>(static_cast<unsigned char>(byte)));
    }
  }
}

// The elements of an array as one view. Arrays do not nest.
void read_array(Cursor& cursor, std::string_view file, const std::string& where, std::string_view key, GgufValue& value) {
  value.element_type = read_value_type(cursor, where, key);
  value.n = cursor.number<uint64_t>("an array length");
  if (value.element_type == GgufType::kArray) {
    fail(ErrorCode::kUnsupported, "'{}': key {} is an array of arrays, which is not supported", where, label(key));
  }
  const bool is_strings = value.element_type == GgufType::kString;
  const uint64_t least = is_strings ? sizeof(uint64_t) : size_of_value(value.element_type);  // bytes of an element
  if (value.n > cursor.n_left() / least) {
    fail(ErrorCode::kInvalidData, "'{}': key {} is an array of {} elements, the file has {} more bytes; it is truncated or damaged",
         where, label(key), value.n, cursor.n_left());
  }
  if (!is_strings) {
    value.bytes = cursor.take(value.n * least, "an array");
    if (value.element_type == GgufType::kBool) check_booleans(value.bytes, where, key);
    return;
  }
  const size_t begin = cursor.position();
  for (uint64_t i = 0; i < value.n; ++i) (void)cursor.text("an array's string");
  value.bytes = file.substr(begin, cursor.position() - begin);
}

GgufValue read_value(Cursor& cursor, std::string_view file, const std::string& where, std::string_view key) {
  GgufValue value;
  value.type = read_value_type(cursor, where, key);
  if (value.type == GgufType::kArray) {
    read_array(cursor, file, where, key, value);
  } else if (value.type == GgufType::kString) {
    value.bytes = cursor.text("a metadata value");
  } else {
    value.bytes = cursor.take(size_of_value(value.type), "a metadata value");
    if (value.type == GgufType::kBool) check_booleans(value.bytes, where, key);
  }
  return value;
}

void read_metadata(Cursor& cursor, std::string_view bytes, uint64_t n_keys, GgufFile& file) {
  for (uint64_t i = 0; i < n_keys; ++i) {
    const std::string key(cursor.text("a metadata key", kMaxNameBytes));
    if (key.empty()) fail(ErrorCode::kInvalidData, "'{}': metadata key {} of {} is empty", file.where, i + 1, n_keys);
    const GgufValue value = read_value(cursor, bytes, file.where, key);
    if (!file.metadata.emplace(key, value).second) {
      fail(ErrorCode::kInvalidData, "'{}': duplicate metadata key {}", file.where, label(key));
    }
  }
}

DType read_tensor_type(uint32_t number, const std::string& where, const std::string& name) {
  for (const GgufTensorType& known : kGgufTensorTypes) {
    if (known.number == number) return known.type;
  }
  for (const GgufForeignType& foreign : kGgufForeignTypes) {
    if (foreign.number == number) {
      fail(ErrorCode::kUnsupported, "'{}': tensor {} has type {}, which is not supported; convert the model anew from its float weights",
           where, label(name), foreign.name);
    }
  }
  fail(ErrorCode::kInvalidData, "'{}': tensor {} has the unknown type {}", where, label(name), number);
}

struct Place {
  uint64_t offset = 0;  // in the data
  uint64_t n_bytes = 0;
};

// Elements in whole blocks, and the bytes they take.
uint64_t check_size(const TensorInfo& info, const std::string& where) {
  uint64_t n = 1;
  for (const int64_t extent : info.shape) {
    if (__builtin_mul_overflow(n, static_cast<uint64_t>(extent), &n)) {
      fail(ErrorCode::kInvalidData, "'{}': the dimensions of tensor {} overflow: {}", where, label(info.name), info.describe());
    }
  }
  const uint64_t block = block_elements(info.type);
  const int64_t row = info.shape.empty() ? 1 : info.shape.back();
  if (static_cast<uint64_t>(row) % block != 0) {
    fail(ErrorCode::kInvalidData, "'{}': the dimensions of tensor {} ({}) do not fit its type: rows of {} elements in blocks of {}", where,
         label(info.name), info.describe(), row, block);
  }
  uint64_t n_bytes = 0;
  if (__builtin_mul_overflow(n / block, uint64_t{block_bytes(info.type)}, &n_bytes) ||
      n_bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    fail(ErrorCode::kInvalidData, "'{}': the dimensions of tensor {} overflow: {}", where, label(info.name), info.describe());
  }
  return n_bytes;
}

TensorInfo read_tensor(Cursor& cursor, const std::string& where, uint64_t index, uint64_t n_tensors, Place& place) {
  TensorInfo info;
  info.name = cursor.text("a tensor name", kMaxNameBytes);
  if (info.name.empty()) {
    fail(ErrorCode::kInvalidData, "'{}': tensor {} of {} has no name; is the tensor count right?", where, index + 1, n_tensors);
  }
  const auto n_dims = cursor.number<uint32_t>("the dimension count of a tensor");
  if (n_dims > kGgufMaxDims) {
    fail(ErrorCode::kInvalidData, "'{}': tensor {} has {} dimensions; expected at most {}", where, label(info.name), n_dims, kGgufMaxDims);
  }
  for (uint32_t i = 0; i < n_dims; ++i) {
    const auto extent = cursor.number<uint64_t>("a tensor's dimension");
    if (extent == 0 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      fail(ErrorCode::kInvalidData, "'{}': dimension {} of tensor {} is {}; expected 1 to 2^63-1", where, i, label(info.name), extent);
    }
    info.shape.insert(info.shape.begin(), static_cast<int64_t>(extent));  // the file has the fastest one first
  }
  info.type = read_tensor_type(cursor.number<uint32_t>("a tensor's type"), where, info.name);
  place.offset = cursor.number<uint64_t>("a tensor's offset");
  place.n_bytes = check_size(info, where);
  return info;
}

// Data lies within the file, aligned, and no two tensors share bytes.
void check_places(const GgufFile& file, const std::vector<Place>& places, uint64_t data_bytes) {
  std::vector<size_t> order(places.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return places[a].offset < places[b].offset; });
  uint64_t end = 0;
  for (const size_t i : order) {
    const Place& place = places[i];
    const std::string name = label(file.tensors[i].name);
    if (place.offset % file.alignment != 0) {
      fail(ErrorCode::kInvalidData, "'{}': the offset {} of tensor {} is no multiple of the alignment {}", file.where, place.offset, name,
           file.alignment);
    }
    if (place.offset > data_bytes || place.n_bytes > data_bytes - place.offset) {
      fail(ErrorCode::kInvalidData, "'{}': tensor {} ({}) lies at offset {} of {} data bytes; the file is truncated or damaged", file.where,
           name, file.tensors[i].describe(), place.offset, data_bytes);
    }
    if (place.offset < end) fail(ErrorCode::kInvalidData, "'{}': tensor {} at offset {} overlaps another", file.where, name, place.offset);
    end = place.offset + place.n_bytes;
  }
}

uint64_t read_alignment(const GgufFile& file) {
  const GgufValue* value = file.find(kGgufAlignmentKey);
  if (value == nullptr) return kGgufDefaultAlignment;
  const auto alignment = value->unsigned_integer();
  const bool valid = alignment && *alignment >= 1 && static_cast<uint64_t>(*alignment) <= kMaxAlignment &&
                     std::has_single_bit(static_cast<uint64_t>(*alignment));
  if (!valid) {
    fail(ErrorCode::kInvalidData, "'{}': {} is {}; expected a power of two up to {}", file.where, kGgufAlignmentKey, value->describe(),
         kMaxAlignment);
  }
  return static_cast<uint64_t>(*alignment);
}

void check_version(uint32_t version, const std::string& where) {
  if (version >= 2 && version <= kMaxVersion) return;
  // A big-endian file has the version in the upper bytes.
  if (version != 0 && (version & 0xFFFFu) == 0) {
    fail(ErrorCode::kUnsupported, "'{}' is a big-endian GGUF file (version 0x{:08X}), which is not supported", where, version);
  }
  fail(version == 1 ? ErrorCode::kUnsupported : ErrorCode::kInvalidData, "'{}' is a GGUF file of version {}; expected 2 or 3", where,
       version);
}

void check_count(uint64_t n, uint64_t least_bytes, uint64_t max, uint64_t n_left, const char* what, const std::string& where) {
  if (n <= max && n <= n_left / least_bytes) return;
  fail(ErrorCode::kInvalidData, "'{}': the {} count is {}; the file's {} bytes hold at most {}; it is truncated or damaged", where, what, n,
       n_left, std::min(max, n_left / least_bytes));
}

TensorBytes view_of(std::span<const std::byte> data, const std::shared_ptr<const void>& owner, size_t alignment, bool is_mapped) {
  if (reinterpret_cast<uintptr_t>(data.data()) % alignment == 0) return {data, owner, is_mapped};
  const std::shared_ptr<std::byte[]> copy(new std::byte[data.size()]);
  std::memcpy(copy.get(), data.data(), data.size());
  return {{copy.get(), data.size()}, copy, false};
}

void check_magic(std::string_view magic, const std::string& where) {
  if (magic != kMagic) fail(ErrorCode::kInvalidData, "'{}' is not a GGUF file: it begins with the magic {}; expected \"GGUF\"", where, label(magic));
}

GgufFile read_bytes(std::span<const std::byte> span, std::shared_ptr<const void> owner, const std::string& where, bool is_mapped) {
  const std::string_view bytes(reinterpret_cast<const char*>(span.data()), span.size());
  GgufFile file;
  file.where = where;
  file.owner = std::move(owner);
  file.n_bytes = bytes.size();
  Cursor cursor(bytes, file.where);
  check_magic(cursor.take(kMagic.size(), "the magic"), where);
  file.version = cursor.number<uint32_t>("the version");
  check_version(file.version, where);
  const auto n_tensors = cursor.number<uint64_t>("the tensor count");
  const auto n_keys = cursor.number<uint64_t>("the key count");
  check_count(n_tensors, kMinTensorBytes, kMaxGgufTensors, cursor.n_left(), "tensor", where);
  check_count(n_keys, kMinKeyBytes, kMaxGgufKeys, cursor.n_left(), "key", where);
  read_metadata(cursor, bytes, n_keys, file);
  file.alignment = read_alignment(file);

  std::vector<Place> places;
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < n_tensors; ++i) {
    Place place;
    file.tensors.push_back(read_tensor(cursor, where, i, n_tensors, place));
    places.push_back(place);
    if (!names.insert(file.tensors.back().name).second) {
      fail(ErrorCode::kInvalidData, "'{}': duplicate tensor name {}", where, label(file.tensors.back().name));
    }
  }
  const uint64_t begin = (cursor.position() + file.alignment - 1) / file.alignment * file.alignment;
  const uint64_t data_bytes = begin < bytes.size() ? bytes.size() - begin : 0;
  check_places(file, places, data_bytes);
  for (size_t i = 0; i < places.size(); ++i) {
    TensorInfo& info = file.tensors[i];
    const auto view = span.subspan(static_cast<size_t>(begin + places[i].offset), static_cast<size_t>(places[i].n_bytes));
    const size_t alignment = is_quantised(info.type) ? alignof(uint16_t) : size_of(info.type);
    info.fetch = [view, shared = file.owner, alignment, is_mapped] { return view_of(view, shared, alignment, is_mapped); };
  }
  return file;
}

[[noreturn]] void fail_key(const GgufFile& file, const std::string& key, const std::string& expected) {
  const GgufValue* value = file.find(key);
  fail(ErrorCode::kInvalidData, "'{}': key '{}' is {}; expected {}", file.where, key, value == nullptr ? "absent" : value->describe(),
       expected);
}

// One number of an integer type, as signed and whether it is beyond 63 bits.
std::optional<int64_t> integer_at(GgufType type, std::string_view bytes, size_t offset) {
  switch (type) {
    case GgufType::kU8: return load<uint8_t>(bytes, offset);
    case GgufType::kI8: return load<int8_t>(bytes, offset);
    case GgufType::kU16: return load<uint16_t>(bytes, offset);
    case GgufType::kI16: return load<int16_t>(bytes, offset);
    case GgufType::kU32: return load<uint32_t>(bytes, offset);
    case GgufType::kI32: return load<int32_t>(bytes, offset);
    case GgufType::kI64: return load<int64_t>(bytes, offset);
    case GgufType::kU64: {
      const auto value = load<uint64_t>(bytes, offset);
      if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

}  // namespace

const char* to_string(GgufType type) {
  static constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<uint32_t>(type)];
}

std::optional<int64_t> GgufValue::unsigned_integer() const {
  const auto value = integer_at(type, bytes, 0);
  return value && *value >= 0 ? value : std::nullopt;
}

std::optional<double> GgufValue::number() const {
  if (type == GgufType::kF32) return load<float>(bytes);
  if (type == GgufType::kF64) return load<double>(bytes);
  const auto value = integer_at(type, bytes, 0);
  if (!value) return std::nullopt;
  return static_cast<double>(*value);
}

std::optional<bool> GgufValue::boolean() const {
  if (type != GgufType::kBool) return std::nullopt;
  return bytes.front() == 1;
}

std::optional<std::string_view> GgufValue::text() const {
  if (type != GgufType::kString) return std::nullopt;
  return bytes;
}

std::vector<std::string_view> GgufValue::strings() const {
  std::vector<std::string_view> texts;
  if (type != GgufType::kArray || element_type != GgufType::kString) return texts;
  texts.reserve(static_cast<size_t>(n));
  for (size_t offset = 0; texts.size() < n;) {
    const auto length = static_cast<size_t>(load<uint64_t>(bytes, offset));
    texts.push_back(bytes.substr(offset + sizeof(uint64_t), length));
    offset += sizeof(uint64_t) + length;
  }
  return texts;
}

std::vector<int64_t> GgufValue::integers() const {
  std::vector<int64_t> values;
  if (type != GgufType::kArray) return values;
  const size_t size = size_of_value(element_type);
  for (size_t i = 0; size > 0 && i < n; ++i) {
    const auto value = integer_at(element_type, bytes, i * size);
    if (!value) return {};
    values.push_back(*value);
  }
  return values;
}

std::string GgufValue::describe() const {
  if (type == GgufType::kArray) return fmt::format("{}[{}]", to_string(element_type), n);
  if (type == GgufType::kString) return label(bytes);
  if (type == GgufType::kBool) return *boolean() ? "true" : "false";
  if (type == GgufType::kF32 || type == GgufType::kF64) return fmt::format("{}", *number());
  const auto value = integer_at(type, bytes, 0);
  return value ? fmt::format("{}", *value) : fmt::format("{}", load<uint64_t>(bytes));
}

const GgufValue* GgufFile::find(const std::string& key) const {
  const auto it = metadata.find(key);
  return it == metadata.end() ? nullptr : &it->second;
}

std::string_view GgufFile::text(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || !value->text()) fail_key(*this, key, "a string");
  return *value->text();
}

int GgufFile::integer(const std::string& key, int min, int max) const {
  const GgufValue* value = find(key);
  const auto number = value == nullptr ? std::nullopt : value->unsigned_integer();
  if (!number || *number < min || *number > max) fail_key(*this, key, fmt::format("an integer from {} to {}", min, max));
  return static_cast<int>(*number);
}

double GgufFile::number(const std::string& key, double min, double max) const {
  const GgufValue* value = find(key);
  const auto number = value == nullptr ? std::nullopt : value->number();
  if (!number || !(*number >= min && *number <= max)) fail_key(*this, key, fmt::format("a number from {} to {}", min, max));
  return *number;
}

GgufFile read_gguf(const std::string& path) {
  const auto file = MappedFile::open(path);
  return read_bytes(file->bytes(), file, path, true);
}

GgufFile read_gguf_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::string& where) {
  return read_bytes(bytes, std::move(owner), where, false);
}

bool has_gguf_magic(const std::string& path) {
  try {
    const auto file = MappedFile::open(path);
    const auto bytes = file->bytes();
    return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace csm
