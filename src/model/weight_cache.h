// Where a backend keeps what it made of a model's weights, so that the next start need not make it again.
//
// Place in the flow: the engine gives one for a model's files (src/cache); a backend asks for what it stored under its
// settings, or stores it. Nothing here throws because of the cache itself: what does not work is noted, and the weights
// are made as if there were no cache. One thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <csm/error.h>

#include "io/tensor.h"

namespace csm {

// The bytes of an entry are not those that were stored. Thrown by fetch() of its tensors.
class DamagedEntry : public Error {
 public:
  explicit DamagedEntry(const std::string& message) : Error(ErrorCode::kInvalidData, message) {}
};

// An entry in the making. Without commit() nothing of it stays.
class WeightCacheWriter {
 public:
  virtual ~WeightCacheWriter() = default;
  // The bytes are those of a row-major tensor and are taken before this returns. Each name once.
  virtual void add(const std::string& name, DType type, const std::vector<int64_t>& shape,
                   std::span<const std::byte> bytes) = 0;
  virtual void commit() = 0;
};

class WeightCache {
 public:
  virtual ~WeightCache() = default;
  // What was stored for this model under the settings; empty: nothing. The settings are all that, beside the content of
  // the files, decides the bytes. Each tensor is checked when it is fetched, so that nothing is read twice; its bytes lie
  // in a mapping.
  virtual std::unordered_map<std::string, TensorInfo> find(const std::string& settings) = 0;
  // The entry turned out to be damaged: notes it and removes the entry.
  virtual void discard(const std::string& settings, const DamagedEntry& damage) = 0;
  // Room for n_tensors, at most. Null: nothing can be kept.
  virtual std::unique_ptr<WeightCacheWriter> begin(const std::string& settings, size_t n_tensors) = 0;
};

}  // namespace csm
