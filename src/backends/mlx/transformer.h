// The Llama transformer that backbone and depth decoder have in common (RMSNorm, RoPE, grouped-query attention,
// SwiGLU), as lazy arrays. Immutable after load; inference thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/mlx/weights.h"
#include "model/checkpoint.h"

namespace csm::mlx_backend {

struct LayerWeights {
  mx::array attention_norm;
  Matrix qkv;  // q, k and v rows under each other
  Matrix o;
  mx::array ffn_norm;
  Matrix gate_up;  // gate rows, then up rows
  Matrix down;
};

struct Stack {
  TransformerSpec spec;
  std::vector<LayerWeights> layers;
  mx::array norm;
  mx::array wavelengths;      // [head_dim / 2]: 1 / angle per position, which is what fast::rope calls freqs
  uint64_t matrix_bytes = 0;  // read by one pass
};

// The weights under prefix ("backbone_model.", "depth_decoder.model.").
Stack load_stack(WeightLoader& loader, const Checkpoint& checkpoint, const std::string& prefix,
                 const TransformerSpec& spec, PartType type);

// 1 / angle per position of each pair.
mx::array rope_wavelengths(const RopeSpec& rope, int head_dim);

// Key-value memory and attention of one layer: q [batch, n_heads, n, head_dim], k and v [batch, n_kv_heads, n,
// head_dim] (q and k rotated)
// -> [batch, n_heads, n, head_dim].
using Attend = std::function<mx::array(int layer, const mx::array& q, const mx::array& k, const mx::array& v)>;

// x [batch, n, width] at positions position .. through all layers, without the final norm. after_layer (may be empty)
// sees each layer's output.
mx::array run_layers(const Stack& stack, mx::array x, int position, const Attend& attend,
                     const std::function<void(int layer, const mx::array& x)>& after_layer, const mx::Stream& s);

// A part of the last dimension.
mx::array columns(const mx::array& x, int first, int n, const mx::Stream& s);

}  // namespace csm::mlx_backend
