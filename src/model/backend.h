// A backend: the only arithmetic on weights. One folder, two classes (LanguageModel, Codec), a pass in the conformance suite.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/model.h"
#include "model/weight_cache.h"

namespace csm {

enum class WeightType { kAsStored, kF32, kF16, kBF16, kQ8_0, kQ6_K, kQ5_K, kQ4_K, kQ4_0, kIQ4_NL };
enum class KvType { kF32, kF16, kQ8_0 };
// kBest is the product; kNaive is how others do it, kept so that `csm bench` can measure both in one process.
// What becomes of weights that a file holds groupwise quantised (model/affine.h) in a backend that computes with such: they stay so, or are
// unpacked because the part was asked to have a type.
enum class PackedWeights { kKeep, kUnpack };
enum class ExecutionPath { kBest, kNaive };

// How a backend with its own allocator uses memory. Unset: what suits the device. Backends without one ignore it.
struct MemoryOptions {
  std::optional<uint64_t> cache_limit_bytes;   // of freed buffers that are kept for reuse
  std::optional<uint64_t> memory_limit_bytes;  // of all
  std::optional<uint64_t> wired_limit_bytes;   // that stay resident on a GPU
  bool clears_after_utterance = true;          // freed buffers then go back to the system
};

struct BackendOptions {
  std::string device = "auto";
  int n_threads = 0;  // 0 = physical cores
  WeightType backbone_type = WeightType::kF32;
  WeightType depth_type = WeightType::kF32;
  WeightType codec_type = WeightType::kF32;  // kF32 or kF16
  PackedWeights backbone_packed = PackedWeights::kUnpack;
  PackedWeights depth_packed = PackedWeights::kUnpack;
  KvType kv_type = KvType::kF32;
  ExecutionPath path = ExecutionPath::kBest;
  StageTap* stage_tap = nullptr;
  MemoryOptions memory;
  std::shared_ptr<WeightCache> weight_cache = nullptr;  // for what a backend makes of weights; null: nothing is kept
};

struct DeviceInfo {
  std::string name;         // what --device takes
  std::string description;
  uint64_t memory_bytes = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;     // "ggml"
  virtual std::string version() const = 0;  // of the library behind it
  virtual std::vector<DeviceInfo> devices() const = 0;
  virtual std::vector<std::string> cpu_features() const = 0;
  virtual int default_threads() const = 0;  // physical cores
  // True: graphs are planned once and run many times, so that a frame in steady state allocates nothing. False: arrays are lazy, and
  // every frame makes its graph anew.
  virtual bool plans_graphs() const { return true; }
  // The checkpoint must outlive neither: what is needed of it is kept by reference count.
  virtual std::unique_ptr<LanguageModel> load_language_model(std::shared_ptr<const Checkpoint> checkpoint,
                                                             const BackendOptions& options) = 0;
  virtual std::unique_ptr<Codec> load_codec(std::shared_ptr<const Checkpoint> checkpoint, const BackendOptions& options) = 0;
};

}  // namespace csm
