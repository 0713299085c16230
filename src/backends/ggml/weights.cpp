#include "backends/ggml/weights.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "base/fail.h"

namespace csm::ggml {
namespace {

constexpr size_t kMaxTensors = 16'384;
constexpr int64_t kElementsPerChunk = 1 << 18;  // 1 MB of float32 for each thread

bool is_stored_as(DType stored, ggml_type type) {
  return (stored == DType::kF32 || stored_type(stored) != GGML_TYPE_F32) && stored_type(stored) == type;
}

void convert(const FillRows& rows, ggml_type type, int64_t n, int64_t n_rows, char* out, int n_threads) {
  const int64_t rows_per_chunk = std::max<int64_t>(1, kElementsPerChunk / n);
  const int64_t n_chunks = (n_rows + rows_per_chunk - 1) / rows_per_chunk;
  const size_t row_bytes = ggml_row_size(type, n);
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      std::vector<float> buffer(static_cast<size_t>(std::min(rows_per_chunk, n_rows) * n));
      for (int64_t chunk = next++; chunk < n_chunks; chunk = next++) {
        const int64_t first = chunk * rows_per_chunk;
        const int64_t count = std::min(rows_per_chunk, n_rows - first);
        rows(first, count, buffer.data());
        convert_rows(type, buffer.data(), out + static_cast<size_t>(first) * row_bytes, count, n);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < std::min<int64_t>(n_threads, n_chunks); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

// The rows of a stored tensor as they are.
OpenRows stored_rows(const TensorInfo& source, int64_t n) {
  return [source, n]() -> FillRows {
    return [bytes = source.fetch(), type = source.type, n](int64_t first, int64_t n_rows, float* out) {
      const std::byte* begin = bytes.data.data() + bytes_of_row(type, first * n);
      widen_to_f32(type, begin, static_cast<size_t>(n_rows * n), out);
    };
  };
}

// The same, then rows of zeros.
OpenRows padded_rows(const TensorInfo& source, int64_t n) {
  return [open = stored_rows(source, n), n, n_stored = source.shape.at(0)]() -> FillRows {
    return [rows = open(), n, n_stored](int64_t first, int64_t n_rows, float* out) {
      const int64_t n_real = std::clamp<int64_t>(n_stored - first, 0, n_rows);
      if (n_real > 0) rows(first, n_real, out);
      std::fill(out + n_real * n, out + n_rows * n, 0.0f);
    };
  };
}

}  // namespace

ggml_type weight_type(WeightType type, DType stored) {
  switch (type) {
    case WeightType::kAsStored: return stored_type(stored);
    case WeightType::kF32: return GGML_TYPE_F32;
    case WeightType::kF16: return GGML_TYPE_F16;
    case WeightType::kBF16: return GGML_TYPE_BF16;
    case WeightType::kQ8_0: return GGML_TYPE_Q8_0;
    case WeightType::kQ6_K: return GGML_TYPE_Q6_K;
    case WeightType::kQ5_K: return GGML_TYPE_Q5_K;
    case WeightType::kQ4_K: return GGML_TYPE_Q4_K;
    case WeightType::kQ4_0: return GGML_TYPE_Q4_0;
    case WeightType::kIQ4_NL: return GGML_TYPE_IQ4_NL;
  }
  fail(ErrorCode::kInternal, "unknown weight type {}", static_cast<int>(type));
}

ggml_tensor* WeightStore::vector(const TensorInfo& source) {
  const int64_t n = source.n_elements();
  ggml_tensor* tensor = declare(device_->buffer_type(), source.name, GGML_TYPE_F32, n, 1);
  items_.push_back({tensor, stored_rows(source, n), nullptr});
  return tensor;
}

ggml_tensor* WeightStore::matrix(const TensorInfo& source, ggml_type type) {
  return padded_matrix(source, type, source.shape.at(0));
}

ggml_tensor* WeightStore::padded_matrix(const TensorInfo& source, ggml_type type, int64_t n_rows) {
  const int64_t n_stored = source.shape.at(0);
  const int64_t n = source.n_elements() / n_stored;
  if (is_quantised(source.type) && !is_stored_as(source.type, type)) {
    fail(ErrorCode::kInvalidArgument, "'{}' is stored as {} and cannot become {}: quantised weights are used as they are; "
         "quantise the float weights instead", source.name, to_string(source.type), ggml_type_name(type));
  }
  if (!is_stored_as(source.type, type)) {
    return generated(source.name, type, n, n_rows, n_rows == n_stored ? stored_rows(source, n) : padded_rows(source, n));
  }
  const bool may_repack = repack_ && is_quantised(source.type);
  const auto buffer_type = may_repack ? device_->weight_buffer_type(type, n, n_rows) : device_->buffer_type();
  if (device_->is_cpu() && n_rows == n_stored && buffer_type == device_->buffer_type()) return map(source, type, n, n_rows);
  if (!is_quantised(source.type)) return generated(source.name, type, n, n_rows, padded_rows(source, n));
  ggml_tensor* tensor = declare(buffer_type, source.name, type, n, n_rows);
  items_.push_back({tensor, nullptr, source.fetch});
  return tensor;
}

ggml_tensor* WeightStore::generated(const std::string& name, ggml_type type, int64_t ne0, int64_t ne1, OpenRows open) {
  if (ne0 % ggml_blck_size(type) != 0) {
    fail(ErrorCode::kUnsupported, "'{}' cannot be quantised to {}: its rows have {} elements, which blocks of {} do not divide; "
         "use another --quantize type for this part", name, ggml_type_name(type), ne0, ggml_blck_size(type));
  }
  const auto buffer_type = repack_ ? device_->weight_buffer_type(type, ne0, ne1) : device_->buffer_type();
  ggml_tensor* tensor = declare(buffer_type, name, type, ne0, ne1);
  items_.push_back({tensor, std::move(open), nullptr});
  return tensor;
}

ggml_tensor* WeightStore::constant(std::vector<float> values) {
  const auto n = static_cast<int64_t>(values.size());
  ggml_tensor* tensor = declare(device_->buffer_type(), "constant", GGML_TYPE_F32, n, 1);
  items_.push_back({tensor, [values = std::move(values)]() -> FillRows {
                      return [values](int64_t, int64_t, float* out) { std::copy(values.begin(), values.end(), out); };
                    }, nullptr});
  return tensor;
}

ggml_tensor* WeightStore::declare(ggml_backend_buffer_type_t buffer_type, const std::string& name, ggml_type type, int64_t ne0,
                                  int64_t ne1) {
  if (items_.size() >= kMaxTensors) fail(ErrorCode::kResourceLimit, "the model has more than {} tensors", kMaxTensors);
  ContextPtr& context = contexts_[buffer_type];
  if (context == nullptr) context = make_context(kMaxTensors);
  ggml_tensor* tensor = ggml_new_tensor_2d(context.get(), type, ne0, ne1);
  ggml_set_name(tensor, name.c_str());
  n_bytes_ += ggml_nbytes(tensor);
  return tensor;
}

// A tensor over the bytes of the file mapping. A ggml buffer wants an aligned start, so it begins at the page.
ggml_tensor* WeightStore::map(const TensorInfo& source, ggml_type type, int64_t ne0, int64_t ne1) {
  TensorBytes bytes = source.fetch();
  const auto page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data.data());
  const uintptr_t page = begin / page_bytes * page_bytes;
  BufferPtr buffer(ggml_backend_cpu_buffer_from_ptr(reinterpret_cast<void*>(page), begin - page + bytes.data.size()));
  if (buffer == nullptr) fail(ErrorCode::kResourceLimit, "out of memory while mapping '{}'", source.name);
  if (mapped_context_ == nullptr) mapped_context_ = make_context(kMaxTensors);
  if (mappings_.size() >= kMaxTensors) fail(ErrorCode::kResourceLimit, "the model has more than {} tensors", kMaxTensors);
  ggml_tensor* tensor = ggml_new_tensor_2d(mapped_context_.get(), type, ne0, ne1);
  ggml_set_name(tensor, source.name.c_str());
  tensor->buffer = buffer.get();
  tensor->data = reinterpret_cast<void*>(begin);
  n_bytes_ += ggml_nbytes(tensor);
  buffers_.push_back(std::move(buffer));
  mappings_.push_back(std::move(bytes));
  return tensor;
}

void WeightStore::load() {
  for (auto& [buffer_type, context] : contexts_) {
    buffers_.push_back(device_->allocate(context.get(), buffer_type, "the weights"));
    ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  }
  for (Item& item : items_) {
    if (item.fetch) {
      fill_from_stored(item);
    } else {
      fill(item);
    }
    item.open = nullptr;
  }
  items_.clear();
}

void WeightStore::fill(const Item& item) const {
  ggml_tensor* tensor = item.tensor;
  const FillRows rows = item.open();
  if (ggml_is_quantized(tensor->type)) ggml_quantize_init(tensor->type);
  const bool in_place = tensor->buffer != nullptr && ggml_backend_buffer_get_type(tensor->buffer) == device_->buffer_type() &&
                        ggml_backend_buffer_is_host(tensor->buffer);
  std::vector<char> staging(in_place ? 0 : ggml_nbytes(tensor));
  char* out = in_place ? static_cast<char*>(tensor->data) : staging.data();
  convert(rows, tensor->type, tensor->ne[0], tensor->ne[1], out, device_->n_threads());
  if (!in_place) ggml_backend_tensor_set(tensor, staging.data(), 0, staging.size());
}

// Blocks of zero bytes are rows of zeros in every quantised type.
void WeightStore::fill_from_stored(const Item& item) const {
  const TensorBytes bytes = item.fetch();
  const size_t n_bytes = ggml_nbytes(item.tensor);
  if (bytes.data.size() == n_bytes) {
    ggml_backend_tensor_set(item.tensor, bytes.data.data(), 0, n_bytes);
    return;
  }
  std::vector<std::byte> padded(bytes.data.begin(), bytes.data.end());
  padded.resize(n_bytes);
  ggml_backend_tensor_set(item.tensor, padded.data(), 0, n_bytes);
}

std::vector<float> to_f32(const TensorInfo& source) {
  const TensorBytes bytes = source.fetch();
  std::vector<float> values(static_cast<size_t>(source.n_elements()));
  widen_to_f32(source.type, bytes.data.data(), values.size(), values.data());
  return values;
}

}  // namespace csm::ggml
