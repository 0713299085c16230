// A compute graph that is built once and run many times, and the operations that all parts of the model share.
//
// Use: make tensors in context(), mark inputs and outputs, allocate(), then set inputs, run(), get outputs as often as
// wanted; run() allocates nothing. Shapes in comments are ggml's: {ne0, ne1, ...}, the first dimension is contiguous.
#pragma once

#include <ggml-alloc.h>

#include <memory>
#include <span>

#include "backends/ggml/device.h"
#include "model/spec.h"

namespace csm::ggml {

class Graph {
 public:
  Graph(std::shared_ptr<Device> device, size_t max_tensors);

  ggml_context* context() const { return context_.get(); }
  // A tensor whose content the host sets before each run.
  ggml_tensor* input(ggml_type type, int64_t ne0, int64_t ne1 = 1, int64_t ne2 = 1, int64_t ne3 = 1);
  // Computes the tensor and keeps its memory until the next run.
  void output(ggml_tensor* tensor);
  // Computes the tensor for its effect (writing state). Order of calls = order of execution.
  void effect(ggml_tensor* tensor);
  // Plans and allocates the memory. Errors: kResourceLimit; kUnsupported when the device lacks an operation.
  void allocate();

  void set(ggml_tensor* tensor, std::span<const float> values);
  void set(ggml_tensor* tensor, std::span<const int32_t> values);
  void set(ggml_tensor* tensor, std::span<const int64_t> values);
  void set(ggml_tensor* tensor, std::span<const uint16_t> values);
  void get(const ggml_tensor* tensor, std::span<float> values) const;
  void get(const ggml_tensor* tensor, std::span<int32_t> values) const;
  void run() { device_->compute(graph_, n_multiplications_); }

 private:
  std::shared_ptr<Device> device_;
  ContextPtr context_;
  ggml_cgraph* graph_ = nullptr;
  AllocatorPtr allocator_;
  double n_multiplications_ = 0;  // of matrix products in one run
};

// Rotary embedding with angles position * frequency: the frequencies come as their inverses, {head_dim / 2} f32, so that no power is
// accumulated along the dimensions. x {head_dim, n_heads, n_positions}, positions {n_positions} i32.
// Pairs are (i, i + head_dim / 2).
ggml_tensor* rope(ggml_context* context, ggml_tensor* x, ggml_tensor* positions, ggml_tensor* inverse_frequencies);

// softmax(k^T q * scale + mask) v. q {head_dim, n_queries, n_heads, batch}, k {head_dim, n_keys, n_kv_heads, batch},
// v {n_keys, head_dim, n_kv_heads, batch} (transposed), mask {n_keys, n_queries} f32 or null.
// Result {head_dim * n_heads, n_queries * batch}. Query head h reads kv head h / (n_heads / n_kv_heads).
ggml_tensor* attention(ggml_context* context, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask, float scale);

}  // namespace csm::ggml
