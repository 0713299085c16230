// Mimi's split residual vector quantiser (Moshi, section 3.3.2) as parts of a graph of one frame.
//
// Place in the flow: codes -> latent at the start of the decoder's graph, latent -> codes at the end of the encoder's.
// Inference thread.
#pragma once

#include <span>
#include <vector>

#include "backends/ggml/mimi_layers.h"

namespace csm::ggml {

// Codes of one frame -> latent {width, 1}.
class Dequantiser {
 public:
  Dequantiser(Graph& graph, const MimiWeights& weights);

  // codes [n]: those of the first n codebooks; the others add nothing.
  void set(Graph& graph, std::span<const int32_t> codes);
  ggml_tensor* latent() const { return latent_; }

 private:
  const MimiWeights& weights_;
  ggml_tensor* semantic_rows_ = nullptr;
  ggml_tensor* acoustic_rows_ = nullptr;
  ggml_tensor* latent_ = nullptr;
  std::vector<int32_t> rows_;
};

// Latent {width, 1} -> codes of one frame.
class Quantiser {
 public:
  Quantiser(Graph& graph, StreamState& state, StageRecorder& stages, const MimiWeights& weights, ggml_tensor* latent);

  // After a run: the codes of all codebooks, [n_codebooks].
  void get(const Graph& graph, std::span<int32_t> codes) const;

 private:
  void search(Graph& graph, StageRecorder& stages, const std::string& name, const QuantiserPart& part,
              ggml_tensor* latent);

  const MimiWeights& weights_;
  ggml_tensor* found_ = nullptr;  // {n_codebooks} i32: row within its codebook
};

}  // namespace csm::ggml
