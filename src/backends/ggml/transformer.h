// What the backbone and the depth decoder share: a Llama stack (RMSNorm, rotary embedding, grouped-query attention, SwiGLU).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/ggml/graph.h"
#include "backends/ggml/weights.h"
#include "model/checkpoint.h"

namespace csm::ggml {

struct LayerWeights {
  ggml_tensor* attention_norm = nullptr;
  ggml_tensor* q = nullptr;
  ggml_tensor* k = nullptr;
  ggml_tensor* v = nullptr;
  ggml_tensor* o = nullptr;
  ggml_tensor* ffn_norm = nullptr;
  ggml_tensor* gate = nullptr;
  ggml_tensor* up = nullptr;
  ggml_tensor* down = nullptr;
};

struct StackWeights {
  TransformerSpec spec;
  std::vector<LayerWeights> layers;
  ggml_tensor* norm = nullptr;
  ggml_tensor* inverse_frequencies = nullptr;  // {head_dim / 2}
  uint64_t matrix_bytes = 0;                   // read by one pass
};

// Declares the weights under prefix ("backbone_model.", "depth_decoder.model.").
StackWeights declare_stack(WeightStore& store, const Checkpoint& checkpoint, const std::string& prefix,
                           const TransformerSpec& spec, WeightType type);

// Key-value memory and attention of one layer: q {head_dim, n_heads, n}, k {head_dim, n_kv_heads, n} (both rotated),
// v {head_dim * n_kv_heads, n} -> {head_dim * n_heads, n}.
using Attend = std::function<ggml_tensor*(int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v)>;

// x {width, n} through all layers, without the final norm. positions {n} i32. after_layer (may be empty) sees each layer's output.
ggml_tensor* run_layers(ggml_context* context, const StackWeights& stack, ggml_tensor* x, ggml_tensor* positions,
                        const Attend& attend, const std::function<void(int layer, ggml_tensor* x)>& after_layer);

ggml_tensor* rms_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* weight, double eps);

}  // namespace csm::ggml
