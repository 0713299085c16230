// Weights as MLX arrays: converted, stacked, laid out or quantised once at load; immutable afterwards.
//
// Place in the flow: checkpoint -> (here) -> transformer, depth decoder, codec. Where a stored tensor is what the
// device computes with, its bytes stay in the file mapping. Each weight is evaluated as it is made, so that one source
// at a time is in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/mlx/device.h"
#include "io/tensor.h"

namespace csm::mlx_backend {

// A linear map without bias: y = x W^T.
struct Matrix {
  mx::array weight;  // [out, in], or [in, out] when transposed; packed when quantised
  bool transposed = false;
  std::optional<mx::array> scales;  // quantised: groupwise affine
  std::optional<mx::array> biases;
  int group_size = 0;
  int bits = 0;
  mx::Dtype dtype = mx::float32;  // of the product
  uint64_t n_bytes = 0;

  // x [..., in] float32 -> [..., out] float32.
  mx::array operator()(const mx::array& x, const mx::Stream& s) const;
};

class WeightLoader {
 public:
  explicit WeightLoader(std::shared_ptr<Device> device) : device_(std::move(device)) {}

  // All elements as float32, in the shape given.
  mx::array vector(const TensorInfo& source);
  mx::array vector(const TensorInfo& source, mx::Shape shape);
  // In its stored type: rows are looked up.
  mx::array table(const TensorInfo& source);
  // The rows of one or several [out, in, ...] tensors under each other. Errors: kUnsupported when no group size divides
  // a row.
  Matrix matrix(const std::vector<const TensorInfo*>& sources, WeightType type);
  // A matrix [out, in] that was computed. `name` is for messages, `stored` decides kAsStored.
  Matrix matrix(const std::string& name, const mx::array& rows, WeightType type, DType stored);
  // A stored tensor as an array of its shape (f32, f16 or bf16), not yet converted. Keep it until what is made of it is
  // evaluated: MLX may reuse the memory of an array that nobody holds, and this one's may be a read-only mapping.
  mx::array stored(const TensorInfo& source) const;

  // Evaluates and counts an array.
  mx::array keep(mx::array array);
  const mx::Stream& stream() const { return device_->stream(); }
  uint64_t n_bytes() const { return n_bytes_; }

 private:
  Matrix quantised(const std::string& name, const mx::array& rows, int bits);

  std::shared_ptr<Device> device_;
  uint64_t n_bytes_ = 0;
};

// Bits of MLX's groupwise quantisation for a type; 0: not quantised.
int quantised_bits(WeightType type);
// Projection and head matrices are small and sensitive: never below 8 bits.
WeightType at_least_8_bits(WeightType type);

}  // namespace csm::mlx_backend
