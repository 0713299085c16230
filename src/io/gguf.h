// GGUF files: "GGUF", version, counts, metadata (key, type, value), tensor descriptions, then aligned data; all little-endian.
//
// Place in the flow: weight files -> GgufFile -> checkpoint, inspect; and convert -> GgufWriter -> files. Every count, length, product
// and offset is checked here against the bytes there are, before any of it is used; nothing of ggml sees an unchecked file. Values and
// tensors are views: they share ownership of the mapping. Immutable after reading; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor.h"

namespace csm {

inline constexpr uint64_t kMaxGgufTensors = 1 << 16;  // each costs more memory than it takes bytes in the file
inline constexpr uint64_t kMaxGgufKeys = 1 << 16;

// The numbers are those of the file.
enum class GgufType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

const char* to_string(GgufType type);

// One value of the metadata: a checked view of its bytes.
struct GgufValue {
  GgufType type = GgufType::kU8;
  GgufType element_type = GgufType::kU8;  // of an array
  uint64_t n = 1;                         // elements of an array
  std::string_view bytes;                 // a string's characters; a scalar's bytes; an array's elements one after the other

  // nullopt when the value is of another kind, negative or (for unsigned_integer) beyond 63 bits.
  std::optional<int64_t> unsigned_integer() const;  // any integer type
  std::optional<double> number() const;             // any integer or floating type
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  std::vector<std::string_view> strings() const;    // of an array of strings; else empty
  std::vector<int64_t> integers() const;            // of an array of integers; else empty
  std::string describe() const;                     // short and printable: "\"csm\"", "12", "string[128256]"
};

struct GgufFile {
  std::string where;  // for messages
  uint32_t version = 0;
  uint64_t alignment = 0;
  uint64_t n_bytes = 0;
  std::map<std::string, GgufValue> metadata;
  std::vector<TensorInfo> tensors;  // in the order of the file; shape[0] is the slowest dimension, as in PyTorch
  std::shared_ptr<const void> owner;

  // nullptr when there is none.
  const GgufValue* find(const std::string& key) const;
  // Errors: kInvalidData when the key is absent or of another kind, or out of [min, max].
  std::string_view text(const std::string& key) const;
  int integer(const std::string& key, int min, int max) const;
  double number(const std::string& key, double min, double max) const;
};

// Errors: kNotFound, kIo; kInvalidData for anything that is not exactly what the format says (truncated, counts, lengths, products or
// offsets beyond the file, bad alignment, unknown types, ragged blocks, overlaps, the same name or key twice); kUnsupported for version
// 1, big-endian files and weight types that DType lacks.
GgufFile read_gguf(const std::string& path);

// The same over bytes in memory, kept alive by owner. `where` opens the messages.
GgufFile read_gguf_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::string& where);

// Whether the file begins as a GGUF file does. A file that cannot be read: false.
bool has_gguf_magic(const std::string& path);

// Where a writer's bytes go, in order.
using ByteSink = std::function<void(std::span<const std::byte>)>;

// Writes a file of version 3 without holding its data: declare everything, begin(), then the data of each tensor in the order of
// declaration, in pieces of any size, then finish(). One thread.
class GgufWriter {
 public:
  void set_text(const std::string& key, std::string_view value);
  void set_u32(const std::string& key, uint32_t value);
  void set_f32(const std::string& key, float value);
  void set_strings(const std::string& key, const std::vector<std::string>& values);
  void set_bytes(const std::string& key, std::string_view bytes);  // u8[]
  void set_i32s(const std::string& key, const std::vector<int32_t>& values);
  // shape as in PyTorch, one to four dimensions. Errors: kInvalidArgument for a name that is taken, a shape or a type that the format
  // cannot hold.
  void add_tensor(const std::string& name, DType type, std::vector<int64_t> shape);

  uint64_t n_bytes() const;  // of the whole file
  void begin(ByteSink sink);
  void write(std::span<const std::byte> data);
  void finish();  // Errors: kInternal when data is missing

 private:
  struct Tensor {
    std::string name;
    DType type = DType::kF32;
    std::vector<int64_t> shape;
    uint64_t n_bytes = 0;
    uint64_t offset = 0;
  };
  void add_key(const std::string& key, GgufType type, std::string value);
  std::string header() const;
  void pad_after_tensor();

  std::map<std::string, std::string> keys_;  // key -> type and value as in the file
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t> names_;
  uint64_t data_bytes_ = 0;  // with the padding between tensors
  ByteSink sink_;
  size_t current_ = 0;       // the tensor that data goes to
  uint64_t written_ = 0;     // bytes of it
};

}  // namespace csm
