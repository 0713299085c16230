// Weights as MLX arrays: converted, stacked, laid out or quantised once at load, or taken from the cache where an
// earlier start left them; immutable afterwards.
//
// Place in the flow: checkpoint (or cache) -> (here) -> transformer, depth decoder, codec. Each weight is evaluated as it
// is made, so that one source at a time is in memory; file pages that were copied are let go.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/mlx/device.h"
#include "io/tensor.h"
#include "model/affine.h"
#include "model/backend.h"

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
  std::vector<Matrix> below = {};  // more rows, quantised in other ways

  // x [..., in] float32 -> [..., out] float32.
  mx::array operator()(const mx::array& x, const mx::Stream& s) const;
};

// Rows that are looked up: as stored, or packed.
struct Table {
  mx::array rows;
  std::optional<mx::array> scales;
  std::optional<mx::array> biases;
  AffineFormat format;

  // ids [...] int32 -> [..., width] float32.
  mx::array operator()(const mx::array& ids, const mx::Stream& s) const;
};

// What the matrices of a part shall be.
struct PartType {
  WeightType type = WeightType::kF32;
  PackedWeights packed = PackedWeights::kUnpack;
};

class WeightLoader {
 public:
  // found: what the cache holds; writer: where to put what is made otherwise. Either may be empty.
  explicit WeightLoader(std::shared_ptr<Device> device, std::unordered_map<std::string, TensorInfo> found = {},
                        WeightCacheWriter* writer = nullptr)
      : device_(std::move(device)), found_(std::move(found)), writer_(writer) {}

  using Make = std::function<mx::array()>;
  // All elements as float32, in the shape given.
  mx::array vector(const TensorInfo& source);
  mx::array vector(const TensorInfo& source, mx::Shape shape);
  // In its stored type: rows are looked up.
  Table table(const TensorInfo& source);
  // The rows of one or several [out, in, ...] tensors under each other. Errors: kUnsupported when no group size divides
  // a row.
  Matrix matrix(const std::vector<const TensorInfo*>& sources, PartType type);
  // A matrix [out, in] that is computed where the cache does not have it. Each has another name; `stored` decides
  // kAsStored.
  Matrix matrix(const std::string& name, const Make& rows, WeightType type, DType stored);
  // A float array, likewise.
  mx::array values(const std::string& name, const Make& make) { return made({name}, [&] { return Arrays{make()}; })[0]; }
  // A stored tensor as an array of its shape (f32, f16, bf16 or packed words), not yet converted. Held here until the weight in the
  // making is evaluated: MLX may reuse the memory of an array that nobody holds, and this one's may be a read-only mapping.
  mx::array stored(const TensorInfo& source);

  const mx::Stream& stream() const { return device_->stream(); }
  uint64_t n_bytes() const { return n_bytes_; }

 private:
  using Arrays = std::vector<mx::array>;
  Arrays made(const std::vector<std::string>& names, const std::function<Arrays()>& make);
  Matrix quantised(const std::string& name, const Make& rows, int bits);
  Matrix packed(const std::vector<const TensorInfo*>& sources);
  // Makes the result of the arrays [words, scales, biases].
  static Matrix affine_matrix(const Arrays& arrays, int group_size, int bits);

  std::shared_ptr<Device> device_;
  std::unordered_map<std::string, TensorInfo> found_;
  WeightCacheWriter* writer_;
  std::vector<mx::array> held_;
  uint64_t n_bytes_ = 0;
};

// Bits of MLX's groupwise quantisation for a type; 0: not quantised.
int quantised_bits(WeightType type);
// Projection and head matrices are small and sensitive: never below 8 bits (but where a file holds them so).
PartType at_least_8_bits(PartType type);

// All that, beside a model's files, decides how weights lie: the settings of an entry of the cache.
std::string layout_text(const Device& device);

// At least as many as a loader makes of a checkpoint.
size_t max_arrays(const Checkpoint& checkpoint);

// Loads with what the cache has under the settings; with nothing of it when that turns out to be damaged; and stores
// what was made. load gets the loader's last two arguments. cache may be null.
template <typename Load>
auto load_through_cache(WeightCache* cache, const std::string& settings, const Checkpoint& checkpoint, const Load& load) {
  using Found = std::unordered_map<std::string, TensorInfo>;
  if (cache == nullptr) return load(Found(), nullptr);
  auto found = cache->find(settings);
  if (!found.empty()) {
    try {
      return load(std::move(found), nullptr);
    } catch (const DamagedEntry& damage) {
      cache->discard(settings, damage);
    }
  }
  const std::unique_ptr<WeightCacheWriter> writer = cache->begin(settings, max_arrays(checkpoint));
  auto result = load(Found(), writer.get());
  if (writer != nullptr) writer->commit();
  return result;
}

}  // namespace csm::mlx_backend
