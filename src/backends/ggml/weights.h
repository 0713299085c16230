// Weights in device memory: converted, quantised, transposed, padded or repacked once at load; immutable afterwards.
//
// Use: declare all tensors of a part, then load(). Where a tensor's stored form is what the CPU computes with, its bytes stay in
// the file mapping and nothing is copied.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "backends/ggml/device.h"
#include "backends/ggml/rows.h"
#include "io/tensor.h"

namespace csm::ggml {

// The ggml type that a weight is computed with. kAsStored gives the file's own type.
ggml_type weight_type(WeightType type, DType stored);
// Writes rows [first, first + n) of a weight as float32 to out, row-major. Called from several threads.
using FillRows = std::function<void(int64_t first, int64_t n, float* out)>;
// Fetches what FillRows reads; called once, when the weight is loaded, so that one source at a time is in memory.
using OpenRows = std::function<FillRows()>;

class WeightStore {
 public:
  explicit WeightStore(std::shared_ptr<Device> device, bool repack = true) : device_(std::move(device)), repack_(repack) {}

  // A tensor of n elements as float32 {n}, whatever its shape (norms, biases).
  ggml_tensor* vector(const TensorInfo& source);
  // [rows, inner, ...] row-major as {product of inner, rows}. Errors: kUnsupported when a block of the type does not divide a row;
  // kInvalidArgument when the weights are quantised already, to another type.
  ggml_tensor* matrix(const TensorInfo& source, ggml_type type);
  // The same with rows of zeros behind until there are n_rows.
  ggml_tensor* padded_matrix(const TensorInfo& source, ggml_type type, int64_t n_rows);
  // Anything else (transposed, padded, computed): ne1 rows of ne0 elements from open. `name` is for messages.
  ggml_tensor* generated(const std::string& name, ggml_type type, int64_t ne0, int64_t ne1, OpenRows open);
  // Values of our own, {n} f32.
  ggml_tensor* constant(std::vector<float> values);

  // Allocates and fills all that was declared. Errors: kResourceLimit.
  void load();
  // Bytes of all weights, mapped ones included.
  uint64_t n_bytes() const { return n_bytes_; }

 private:
  struct Item {
    ggml_tensor* tensor = nullptr;
    OpenRows open;
    std::function<TensorBytes()> fetch;  // instead of open: bytes of the tensor's own type, perhaps of fewer rows
  };
  ggml_tensor* declare(ggml_backend_buffer_type_t buffer_type, const std::string& name, ggml_type type, int64_t ne0, int64_t ne1);
  ggml_tensor* map(const TensorInfo& source, ggml_type type, int64_t ne0, int64_t ne1);
  void fill(const Item& item) const;
  void fill_from_stored(const Item& item) const;

  std::shared_ptr<Device> device_;
  bool repack_;
  std::map<ggml_backend_buffer_type_t, ContextPtr> contexts_;
  ContextPtr mapped_context_;
  std::vector<BufferPtr> buffers_;
  std::vector<TensorBytes> mappings_;  // keeps files mapped
  std::vector<Item> items_;
  uint64_t n_bytes_ = 0;
};

// All elements of a stored tensor as float32.
std::vector<float> to_f32(const TensorInfo& source);

}  // namespace csm::ggml
