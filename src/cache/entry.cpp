#include "cache/entry.h"

#include <nlohmann/json.hpp>

#include "base/damage_digest.h"
#include "base/fail.h"
#include "hub/digest.h"
#include "io/safetensors.h"
#include "model/weight_cache.h"

namespace csm {
namespace {

constexpr const char* kFormat = "csm weight cache";
constexpr const char* kVersion = "1";
constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kPageBytes = 16384;  // of Apple silicon; a multiple of all others
constexpr uint64_t kLineBytes = 64;
constexpr uint64_t kLargeBytes = uint64_t{64} << 10;
constexpr uint64_t kHeaderBytesPerTensor = 400;  // names of this model family take half of it
constexpr size_t kNameDigits = 32;
constexpr size_t kDigestDigits = 16;

std::string hex(uint64_t digest) { return fmt::format("{:016x}", digest); }

uint64_t round_up(uint64_t n, uint64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// What a reader relies on beside the bytes of tensors.
std::string header_text(const std::string& content, const std::string& settings, const std::string& digests) {
  return fmt::format("{}\n{}\n{}\n{}\n", kVersion, content, settings, digests);
}
std::string describe(const std::string& name, DType type, const std::vector<int64_t>& shape) {
  return fmt::format("{} {} {}\n", name, to_string(type), fmt::join(shape, " "));
}

[[noreturn]] void fail_damaged(const std::string& path, const std::string& what) {
  throw DamagedEntry(fmt::format("'{}' is damaged: {}", path, what));
}

using Metadata = std::map<std::string, std::string>;

std::string field(const Metadata& metadata, const char* name, const std::string& path) {
  const auto it = metadata.find(name);
  if (it == metadata.end()) fail_damaged(path, fmt::format("it has no field '{}'", name));
  return it->second;
}

Metadata read_metadata(const std::string& path) {
  Metadata metadata = read_safetensors_metadata(path);
  const std::string format = field(metadata, "format", path);
  const std::string version = field(metadata, "version", path);
  if (format != kFormat || version != kVersion) {
    fail_damaged(path, fmt::format("it is of version '{}' of '{}'; expected version {} of '{}'", version, format,
                                   kVersion, kFormat));
  }
  return metadata;
}

// Whatever the readers of safetensors object to is damage here.
template <typename F>
auto as_damage(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidData && error.code() != ErrorCode::kUnsupported) throw;
    throw DamagedEntry(error.what());
  }
}

// The tensor, whose bytes are compared with their digest when they are fetched.
TensorInfo checked(const TensorInfo& tensor, const std::string& digest, const std::string& path) {
  TensorInfo result = tensor;
  result.fetch = [fetch = tensor.fetch, digest, path, name = tensor.name] {
    TensorBytes bytes = fetch();
    if (hex(damage_digest(bytes.data)) != digest) fail_damaged(path, fmt::format("the bytes of '{}' are not those that were stored", name));
    return bytes;
  };
  return result;
}

}  // namespace

std::string EntryKey::file_name() const {
  return sha256_of(header_text(content, settings, "")).substr(0, kNameDigits) + ".safetensors";
}

EntryKey read_entry_key(const std::string& path) {
  return as_damage([&] {
    const Metadata metadata = read_metadata(path);
    return EntryKey{field(metadata, "content", path), field(metadata, "settings", path)};
  });
}

std::unordered_map<std::string, TensorInfo> read_entry(const std::string& path, const EntryKey& key) {
  return as_damage([&] {
    const std::vector<TensorInfo> tensors = read_safetensors(path);
    const Metadata metadata = read_metadata(path);
    if (field(metadata, "content", path) != key.content || field(metadata, "settings", path) != key.settings) {
      fail_damaged(path, "it belongs to another model or to other settings");
    }
    const std::string digests = field(metadata, "digests", path);
    std::string names;
    for (const TensorInfo& tensor : tensors) names += describe(tensor.name, tensor.type, tensor.shape);
    const uint64_t digest = damage_digest(header_text(key.content, key.settings, digests) + names);
    if (digests.size() != kDigestDigits * tensors.size() || hex(digest) != field(metadata, "header", path)) {
      fail_damaged(path, "its header is not the one that was written");
    }
    std::unordered_map<std::string, TensorInfo> result;
    for (size_t i = 0; i < tensors.size(); ++i) {
      result.emplace(tensors[i].name, checked(tensors[i], digests.substr(i * kDigestDigits, kDigestDigits), path));
    }
    return result;
  });
}

EntryWriter::EntryWriter(const std::string& path, EntryKey key, size_t n_tensors)
    : key_(std::move(key)),
      path_(path),
      header_bytes_(round_up(kLengthBytes + kPageBytes / 2 + kHeaderBytesPerTensor * n_tensors, kPageBytes) - kLengthBytes),
      file_(path) {
  file_.seek(kLengthBytes + header_bytes_);
}

void EntryWriter::add(const std::string& name, DType type, const std::vector<int64_t>& shape,
                      std::span<const std::byte> bytes) {
  const uint64_t alignment = bytes.size() >= kLargeBytes ? kPageBytes : kLineBytes;
  const uint64_t n_padding = round_up(offset_, alignment) - offset_;
  if (n_padding > 0) {
    const std::vector<std::byte> padding(n_padding);
    put(fmt::format("pad.{}", tensors_.size()), DType::kU8, {static_cast<int64_t>(n_padding)}, padding);
  }
  put(name, type, shape, bytes);
}

void EntryWriter::put(const std::string& name, DType type, const std::vector<int64_t>& shape,
                      std::span<const std::byte> bytes) {
  file_.write(bytes.data(), bytes.size());
  tensors_.push_back({name, type, shape, offset_, offset_ + bytes.size(), damage_digest(bytes)});
  offset_ += bytes.size();
}

void EntryWriter::commit() {
  nlohmann::json header = nlohmann::json::object();
  std::string digests;
  std::string names;
  for (const Tensor& tensor : tensors_) {
    digests += hex(tensor.digest);
    names += describe(tensor.name, tensor.type, tensor.shape);
    header[tensor.name] = {{"dtype", to_string(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}};
  }
  const uint64_t digest = damage_digest(header_text(key_.content, key_.settings, digests) + names);
  header["__metadata__"] = {{"format", kFormat},           {"version", kVersion}, {"content", key_.content},
                            {"settings", key_.settings}, {"digests", digests},  {"header", hex(digest)}};
  std::string text = header.dump();
  if (text.size() > header_bytes_) {
    fail(ErrorCode::kResourceLimit, "'{}' would hold {} tensors, more than were announced", path_, tensors_.size());
  }
  text.resize(header_bytes_, ' ');
  unsigned char length[kLengthBytes];
  for (size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<unsigned char>(header_bytes_ >> (8 * i));
  file_.seek(0);
  file_.write(length, sizeof length);
  file_.write(text);
  file_.commit();
}

}  // namespace csm
