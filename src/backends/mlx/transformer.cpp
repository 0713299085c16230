#include "backends/mlx/transformer.h"

namespace csm::mlx_backend {
namespace {

constexpr bool kInterleavedPairs = false;  // checkpoints give q and k half-split

mx::array swiglu(const mx::array& gate_up, int width, const mx::Stream& s) {
  const mx::array gate = columns(gate_up, 0, width, s);
  const mx::array silu = mx::multiply(gate, mx::sigmoid(gate, s), s);
  return mx::multiply(silu, columns(gate_up, width, width, s), s);
}

// Heads first to last of [batch, heads, n, head_dim].
mx::array heads(const mx::array& x, int first, int n, const mx::Stream& s) {
  return mx::slice(x, {0, first, 0, 0}, {x.shape(0), first + n, x.shape(2), x.shape(3)}, s);
}

}  // namespace

mx::array columns(const mx::array& x, int first, int n, const mx::Stream& s) {
  mx::Shape start(x.ndim(), 0);
  mx::Shape stop = x.shape();
  start.back() = first;
  stop.back() = first + n;
  return mx::slice(x, start, stop, s);
}

mx::array rope_wavelengths(const RopeSpec& rope, int head_dim) {
  std::vector<float> values;
  for (const double frequency : rope_frequencies(rope, head_dim)) values.push_back(static_cast<float>(1.0 / frequency));
  return to_array(values, {static_cast<int>(values.size())});
}

Stack load_stack(WeightLoader& loader, const Checkpoint& checkpoint, const std::string& prefix,
                 const TransformerSpec& spec, PartType type) {
  const auto tensor = [&](const std::string& name) { return &checkpoint.tensor(prefix + name); };
  Stack stack{
      spec, {}, loader.vector(*tensor("norm.weight")), loader.values(prefix + "wavelengths", [&] { return rope_wavelengths(spec.rope, spec.head_dim); }), 0};
  for (int i = 0; i < spec.n_layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const auto matrix = [&](const std::vector<std::string>& names) {
      std::vector<const TensorInfo*> sources;
      for (const std::string& name : names) sources.push_back(tensor(layer + name));
      Matrix result = loader.matrix(sources, type);
      stack.matrix_bytes += result.n_bytes;
      return result;
    };
    stack.layers.push_back({loader.vector(*tensor(layer + "input_layernorm.weight")),
                            matrix({"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}),
                            matrix({"self_attn.o_proj.weight"}),
                            loader.vector(*tensor(layer + "post_attention_layernorm.weight")),
                            matrix({"mlp.gate_proj.weight", "mlp.up_proj.weight"}), matrix({"mlp.down_proj.weight"})});
  }
  return stack;
}

mx::array run_layers(const Stack& stack, mx::array x, int position, const Attend& attend,
                     const std::function<void(int layer, const mx::array& x)>& after_layer, const mx::Stream& s) {
  const TransformerSpec& spec = stack.spec;
  const auto eps = static_cast<float>(spec.norm_eps);
  const int batch = x.shape(0);
  const int n = x.shape(1);
  const int n_rotated = spec.n_heads + spec.n_kv_heads;
  for (int i = 0; i < spec.n_layers; ++i) {
    const LayerWeights& layer = stack.layers[static_cast<size_t>(i)];
    const mx::array a = mx::fast::rms_norm(x, layer.attention_norm, eps, s);
    mx::array qkv = mx::reshape(layer.qkv(a, s), {batch, n, n_rotated + spec.n_kv_heads, spec.head_dim}, s);
    qkv = mx::transpose(qkv, {0, 2, 1, 3}, s);
    // q and k in one go.
    const mx::array qk = mx::fast::rope(heads(qkv, 0, n_rotated, s), spec.head_dim, kInterleavedPairs, std::nullopt,
                                        1.0f, position, stack.wavelengths, s);
    mx::array mixed = attend(i, heads(qk, 0, spec.n_heads, s), heads(qk, spec.n_heads, spec.n_kv_heads, s),
                             heads(qkv, n_rotated, spec.n_kv_heads, s));
    mixed = mx::reshape(mx::transpose(mixed, {0, 2, 1, 3}, s), {batch, n, spec.n_heads * spec.head_dim}, s);
    x = mx::add(x, layer.o(mixed, s), s);
    const mx::array m = mx::fast::rms_norm(x, layer.ffn_norm, eps, s);
    x = mx::add(x, layer.down(swiglu(layer.gate_up(m, s), spec.ffn_width, s), s), s);
    if (after_layer) after_layer(i, x);
  }
  return x;
}

}  // namespace csm::mlx_backend
