#include "backends/ggml/transformer.h"

namespace csm::ggml {

StackWeights declare_stack(WeightStore& store, const Checkpoint& checkpoint, const std::string& prefix,
                           const TransformerSpec& spec, WeightType type) {
  StackWeights stack;
  stack.spec = spec;
  const auto matrix = [&](const std::string& name) {
    const TensorInfo& source = checkpoint.tensor(name);
    ggml_tensor* tensor = store.matrix(source, weight_type(type, source.type));
    stack.matrix_bytes += ggml_nbytes(tensor);
    return tensor;
  };
  for (int i = 0; i < spec.n_layers; ++i) {
    const std::string layer = prefix + "layers." + std::to_string(i) + ".";
    LayerWeights weights;
    weights.attention_norm = store.vector(checkpoint.tensor(layer + "input_layernorm.weight"));
    weights.q = matrix(layer + "self_attn.q_proj.weight");
    weights.k = matrix(layer + "self_attn.k_proj.weight");
    weights.v = matrix(layer + "self_attn.v_proj.weight");
    weights.o = matrix(layer + "self_attn.o_proj.weight");
    weights.ffn_norm = store.vector(checkpoint.tensor(layer + "post_attention_layernorm.weight"));
    weights.gate = matrix(layer + "mlp.gate_proj.weight");
    weights.up = matrix(layer + "mlp.up_proj.weight");
    weights.down = matrix(layer + "mlp.down_proj.weight");
    stack.layers.push_back(weights);
  }
  stack.norm = store.vector(checkpoint.tensor(prefix + "norm.weight"));
  std::vector<float> inverse;
  for (const double frequency : rope_frequencies(spec.rope, spec.head_dim)) inverse.push_back(static_cast<float>(1.0 / frequency));
  stack.inverse_frequencies = store.constant(std::move(inverse));
  return stack;
}

ggml_tensor* rms_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* weight, double eps) {
  return ggml_mul(context, ggml_rms_norm(context, x, static_cast<float>(eps)), weight);
}

ggml_tensor* run_layers(ggml_context* context, const StackWeights& stack, ggml_tensor* x, ggml_tensor* positions,
                        const Attend& attend, const std::function<void(int layer, ggml_tensor* x)>& after_layer) {
  const TransformerSpec& spec = stack.spec;
  const int64_t n = x->ne[1];
  for (int i = 0; i < spec.n_layers; ++i) {
    const LayerWeights& layer = stack.layers[static_cast<size_t>(i)];
    ggml_tensor* a = rms_norm(context, x, layer.attention_norm, spec.norm_eps);
    ggml_tensor* q = ggml_reshape_3d(context, ggml_mul_mat(context, layer.q, a), spec.head_dim, spec.n_heads, n);
    ggml_tensor* k = ggml_reshape_3d(context, ggml_mul_mat(context, layer.k, a), spec.head_dim, spec.n_kv_heads, n);
    ggml_tensor* v = ggml_mul_mat(context, layer.v, a);
    q = rope(context, q, positions, stack.inverse_frequencies);
    k = rope(context, k, positions, stack.inverse_frequencies);
    x = ggml_add(context, x, ggml_mul_mat(context, layer.o, attend(i, q, k, v)));
    ggml_tensor* m = rms_norm(context, x, layer.ffn_norm, spec.norm_eps);
    ggml_tensor* hidden =
        ggml_swiglu_split(context, ggml_mul_mat(context, layer.gate, m), ggml_mul_mat(context, layer.up, m));
    x = ggml_add(context, x, ggml_mul_mat(context, layer.down, hidden));
    if (after_layer) after_layer(i, x);
  }
  return x;
}

}  // namespace csm::ggml
