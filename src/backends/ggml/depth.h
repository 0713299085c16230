// The depth decoder: hidden state of the backbone -> logits of each codebook, one graph per codebook.
//
// A program holds the graphs and the key-value memory for one batch size. Its graphs are built once; codebook c's graph reads
// the code drawn by the one before, so between them the host samples. Position 0 is the backbone's hidden state, position i the
// embedding of code i-1; the output at position i gives code i (spec 1.5). Used on the inference thread only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "backends/ggml/embedding.h"
#include "backends/ggml/transformer.h"
#include "model/model.h"

namespace csm::ggml {

// The graph that computes the logits of one codebook for a batch.
struct DepthGraph {
  std::unique_ptr<Graph> graph;
  ggml_tensor* hidden = nullptr;     // {backbone width, batch}: codebooks 0 and 1 only
  ggml_tensor* embedding = nullptr;  // {backbone width, batch}: of the code before; codebooks 1..
  ggml_tensor* positions = nullptr;  // {rows * batch} i32
  ggml_tensor* mask = nullptr;       // {2, 2}: codebook 1 only, whose graph has two rows
  ggml_tensor* logits = nullptr;     // {padded audio vocabulary, batch}
  std::vector<ggml_tensor*> stages;  // {width, rows * batch} after each layer
};

// Graphs for one batch size.
struct DepthProgram {
  int batch = 0;
  ContextPtr context;
  BufferPtr buffer;
  std::vector<ggml_tensor*> k;  // one a layer: {kv width, n_codebooks, batch}
  std::vector<ggml_tensor*> v;  // {n_codebooks, kv width, batch}
  std::vector<DepthGraph> graphs;  // by codebook
};

class DepthDecoder {
 public:
  // Declares weights in store, which the caller loads.
  DepthDecoder(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options, WeightStore& store);

  // The logits of codebook c for a batch: hidden [batch, backbone width] (read for codebooks 0 and 1), previous [batch] codes of
  // codebook c - 1 (read for c >= 1). Codebooks go in order 0, 1, 2 ... Result [batch, stride of logits()], valid until the next call.
  std::span<const float> logits(int codebook, std::span<const float> hidden, std::span<const int32_t> previous, int batch);
  int logits_stride() const { return padded_vocab_; }
  // Weights that one frame reads.
  uint64_t frame_bytes() const;

 private:
  void declare_heads(WeightStore& store, const Checkpoint& checkpoint, WeightType first_type, WeightType type);
  DepthProgram& program(int batch);
  DepthGraph build(DepthProgram& program, int codebook) const;
  ggml_tensor* attend(const DepthProgram& program, Graph& graph, const DepthGraph& built, int position, int n_rows, int layer,
                      ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;
  void set_constants(const DepthGraph& built, int codebook, int batch) const;
  void report_stages(const DepthGraph& built, int codebook) const;

  std::shared_ptr<Device> device_;
  ModelSpec spec_;
  BackendOptions options_;
  StackWeights stack_;
  ggml_tensor* projection_ = nullptr;
  std::vector<ggml_tensor*> heads_;  // by codebook, {width, padded audio vocabulary}
  EmbeddingTable audio_table_;
  int padded_vocab_ = 0;
  std::map<int, DepthProgram> programs_;
  DepthGraph naive_;  // kNaive: the graph of this step, thrown away at the next
  std::vector<float> embeddings_;
  std::vector<float> logits_;
};

}  // namespace csm::ggml
