#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/fail.h"
#include "io/gguf.h"
#include "io/gguf_types.h"

namespace csm {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 64;  // a cache line; more than any type or vector instruction needs

uint64_t aligned(uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);  // the machine is little-endian, as the reader asserts
}

void append_text(std::string& out, std::string_view text) {
  append<uint64_t>(out, text.size());
  out.append(text);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

uint32_t number_of(DType type, const std::string& name) {
  for (const GgufTensorType& known : kGgufTensorTypes) {
    if (known.type == type) return known.number;
  }
  fail(ErrorCode::kInvalidArgument, "tensor '{}' has type {}, which GGUF files cannot hold", name, to_string(type));
}

}  // namespace

void GgufWriter::add_key(const std::string& key, GgufType type, std::string value) {
  std::string text;
  append(text, static_cast<uint32_t>(type));
  text += value;
  if (key.empty() || !keys_.emplace(key, std::move(text)).second) {
    fail(ErrorCode::kInvalidArgument, "metadata key '{}' is empty or taken", key);
  }
}

void GgufWriter::set_text(const std::string& key, std::string_view value) {
  std::string bytes;
  append_text(bytes, value);
  add_key(key, GgufType::kString, std::move(bytes));
}

void GgufWriter::set_u32(const std::string& key, uint32_t value) {
  std::string bytes;
  append(bytes, value);
  add_key(key, GgufType::kU32, std::move(bytes));
}

void GgufWriter::set_f32(const std::string& key, float value) {
  std::string bytes;
  append(bytes, value);
  add_key(key, GgufType::kF32, std::move(bytes));
}

void GgufWriter::set_strings(const std::string& key, const std::vector<std::string>& values) {
  std::string bytes;
  append(bytes, static_cast<uint32_t>(GgufType::kString));
  append<uint64_t>(bytes, values.size());
  for (const std::string& value : values) append_text(bytes, value);
  add_key(key, GgufType::kArray, std::move(bytes));
}

void GgufWriter::set_bytes(const std::string& key, std::string_view bytes) {
  std::string value;
  append(value, static_cast<uint32_t>(GgufType::kU8));
  append<uint64_t>(value, bytes.size());
  value += bytes;
  add_key(key, GgufType::kArray, std::move(value));
}

void GgufWriter::set_i32s(const std::string& key, const std::vector<int32_t>& values) {
  std::string bytes;
  append(bytes, static_cast<uint32_t>(GgufType::kI32));
  append<uint64_t>(bytes, values.size());
  for (const int32_t value : values) append(bytes, value);
  add_key(key, GgufType::kArray, std::move(bytes));
}

void GgufWriter::add_tensor(const std::string& name, DType type, std::vector<int64_t> shape) {
  Tensor tensor{name, type, std::move(shape), block_bytes(type), data_bytes_};
  bool valid = !name.empty() && !tensor.shape.empty() && tensor.shape.size() <= kGgufMaxDims &&
               tensor.shape.back() % static_cast<int64_t>(block_elements(type)) == 0;
  for (size_t i = 0; valid && i < tensor.shape.size(); ++i) {
    const int64_t extent = i + 1 < tensor.shape.size() ? tensor.shape[i] : tensor.shape[i] / static_cast<int64_t>(block_elements(type));
    valid = tensor.shape[i] > 0 && !__builtin_mul_overflow(tensor.n_bytes, static_cast<uint64_t>(extent), &tensor.n_bytes);
  }
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max() - kAlignment;
  if (!valid || tensor.n_bytes > kMax - data_bytes_ || !names_.emplace(name, tensors_.size()).second) {
    fail(ErrorCode::kInvalidArgument, "tensor '{}' of type {} has a shape that GGUF files cannot hold, or its name is taken", name,
         to_string(type));
  }
  (void)number_of(type, name);
  data_bytes_ += aligned(tensor.n_bytes);
  tensors_.push_back(std::move(tensor));
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  append<uint32_t>(out, kVersion);
  append<uint64_t>(out, tensors_.size());
  append<uint64_t>(out, keys_.size() + 1);
  append_text(out, kGgufAlignmentKey);
  append(out, static_cast<uint32_t>(GgufType::kU32));
  append(out, static_cast<uint32_t>(kAlignment));
  for (const auto& [key, value] : keys_) {
    append_text(out, key);
    out += value;
  }
  for (const Tensor& tensor : tensors_) {
    append_text(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) append(out, static_cast<uint64_t>(*extent));
    append(out, number_of(tensor.type, tensor.name));
    append(out, tensor.offset);
  }
  out.resize(static_cast<size_t>(aligned(out.size())), '\0');
  return out;
}

uint64_t GgufWriter::n_bytes() const { return header().size() + data_bytes_; }

void GgufWriter::begin(ByteSink sink) {
  sink_ = std::move(sink);
  current_ = 0;
  written_ = 0;
  sink_(bytes_of(header()));
}

void GgufWriter::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    if (current_ >= tensors_.size()) fail(ErrorCode::kInternal, "more data than the tensors of a GGUF file take");
    const uint64_t n = std::min<uint64_t>(data.size(), tensors_[current_].n_bytes - written_);
    sink_(data.first(static_cast<size_t>(n)));
    data = data.subspan(static_cast<size_t>(n));
    written_ += n;
    if (written_ == tensors_[current_].n_bytes) pad_after_tensor();
  }
}

void GgufWriter::pad_after_tensor() {
  static constexpr std::array<std::byte, kAlignment> kZeros{};
  const uint64_t n = tensors_[current_].n_bytes;
  if (aligned(n) > n) sink_(std::span(kZeros).first(static_cast<size_t>(aligned(n) - n)));
  ++current_;
  written_ = 0;
}

void GgufWriter::finish() {
  if (current_ != tensors_.size()) {
    fail(ErrorCode::kInternal, "{} of {} tensors were written, and {} bytes of the next", current_, tensors_.size(), written_);
  }
  sink_ = nullptr;
}

}  // namespace csm
