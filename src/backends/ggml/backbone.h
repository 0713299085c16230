// The backbone: frames -> hidden state of the last position, with a key-value cache for each sequence.
//
// One row runs through a graph that its sequence built beforehand for the cache's length class (buckets of kBucketPositions);
// several rows (prefill) run in blocks through graphs made for them. Used on the inference thread only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "backends/ggml/embedding.h"
#include "backends/ggml/transformer.h"
#include "model/kv_cache.h"
#include "model/model.h"

namespace csm::ggml {

// Keys and values of all layers. Keys are rows of all heads {head_dim * n_kv_heads, capacity}. Values are stored transposed
// {capacity, head_dim * n_kv_heads} so that attention reads them in order, except q8_0 ones (blocks need rows), which are
// read by flash attention.
struct KvCache {
  KvType type = KvType::kF32;
  int capacity = 0;  // positions
  std::vector<ggml_tensor*> k;
  std::vector<ggml_tensor*> v;
  ContextPtr context;
  BufferPtr buffer;
};

// The backbone's graph for n_rows rows that see n_keys cache slots, with its inputs and its output.
struct BackboneGraph {
  std::unique_ptr<Graph> graph;
  int n_rows = 0;
  int n_keys = 0;
  ggml_tensor* embeddings = nullptr;  // {width, n_rows} f32
  ggml_tensor* positions = nullptr;   // {n_rows} i32
  ggml_tensor* rows = nullptr;        // {n_rows} i64: cache slots
  ggml_tensor* elements = nullptr;    // {n_rows * kv width} i64: elements of the transposed values
  ggml_tensor* mask = nullptr;        // {n_keys, n_rows}
  ggml_tensor* hidden = nullptr;      // {width}: after the final norm, of the last row
  std::vector<std::pair<std::string, ggml_tensor*>> stages;
};

class BackboneSequence final : public Sequence {
 public:
  int n_positions() const override { return n_positions_; }
  int max_positions() const override { return max_positions_; }
  bool has_hidden() const { return has_hidden_; }
  std::span<const float> hidden() const { return hidden_; }

 private:
  friend class Backbone;
  int n_positions_ = 0;
  int max_positions_ = 0;
  bool has_hidden_ = false;
  std::vector<float> hidden_;
  KvCache cache_;
  std::vector<BackboneGraph> steps_;  // of one row, by number of buckets - 1
};

class Backbone {
 public:
  // Declares weights in store, which the caller loads.
  Backbone(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options, WeightStore& store);

  std::unique_ptr<BackboneSequence> new_sequence(int max_positions);
  void append(BackboneSequence& sequence, FramesView rows);
  void truncate(BackboneSequence& sequence, int position);
  void copy_prefix(const BackboneSequence& from, int n_positions, BackboneSequence& to);
  uint64_t matrix_bytes() const { return stack_.matrix_bytes; }

 private:
  void embed(FramesView rows, int first, int n, float* out);
  KvCache make_cache(int max_positions);
  BackboneGraph build(const KvCache& cache, int n_rows, int n_keys) const;
  ggml_tensor* attend(BackboneGraph& built, const KvCache& cache, int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;
  void run(BackboneGraph& built, BackboneSequence& sequence, FramesView rows, int first, int position);
  void fill_mask(const BackboneGraph& built, int position);
  void report_stages(const BackboneGraph& built) const;

  std::shared_ptr<Device> device_;
  ModelSpec spec_;
  BackendOptions options_;
  StackWeights stack_;
  EmbeddingTable text_table_;
  EmbeddingTable audio_table_;
  std::vector<float> embeddings_;  // scratch of run()
  std::vector<int32_t> positions_;
  std::vector<int64_t> rows_;
  std::vector<int64_t> elements_;
  std::vector<float> mask_;
  std::vector<uint16_t> mask_f16_;
};

}  // namespace csm::ggml
