#include "backends/ggml/graph.h"

#include "base/fail.h"

namespace csm::ggml {
namespace {

template <typename T>
void set_tensor(ggml_tensor* tensor, std::span<const T> values) {
  if (values.size_bytes() != ggml_nbytes(tensor)) {
    fail(ErrorCode::kInternal, "a graph input takes {} bytes, not {}", ggml_nbytes(tensor), values.size_bytes());
  }
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size_bytes());
}

template <typename T>
void get_tensor(const ggml_tensor* tensor, std::span<T> values) {
  if (values.size_bytes() > ggml_nbytes(tensor)) {
    fail(ErrorCode::kInternal, "a graph output holds {} bytes, not {}", ggml_nbytes(tensor), values.size_bytes());
  }
  ggml_backend_tensor_get(tensor, values.data(), 0, values.size_bytes());
}

}  // namespace

Graph::Graph(std::shared_ptr<Device> device, size_t max_tensors) : device_(std::move(device)) {
  ggml_init_params params{};
  params.mem_size = max_tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(max_tensors, false);
  params.no_alloc = true;
  context_.reset(ggml_init(params));
  if (context_ == nullptr) fail(ErrorCode::kResourceLimit, "out of memory for a graph of {} tensors", max_tensors);
  graph_ = ggml_new_graph_custom(context_.get(), max_tensors, false);
}

ggml_tensor* Graph::input(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3) {
  ggml_tensor* tensor = ggml_new_tensor_4d(context_.get(), type, ne0, ne1, ne2, ne3);
  ggml_set_input(tensor);
  // An input that no operation reads must still get memory, and none may be reused before the next run.
  ggml_set_output(tensor);
  ggml_build_forward_expand(graph_, tensor);
  return tensor;
}

void Graph::output(ggml_tensor* tensor) {
  ggml_set_output(tensor);
  ggml_build_forward_expand(graph_, tensor);
}

void Graph::effect(ggml_tensor* tensor) { ggml_build_forward_expand(graph_, tensor); }

void Graph::allocate() {
  for (int i = 0; i < ggml_graph_n_nodes(graph_); ++i) {
    const ggml_tensor* node = ggml_graph_node(graph_, i);
    if (node->op == GGML_OP_MUL_MAT) n_multiplications_ += static_cast<double>(ggml_nelements(node)) * static_cast<double>(node->src[0]->ne[0]);
    if (!ggml_backend_supports_op(device_->backend(), node)) {
      fail(ErrorCode::kUnsupported, "device '{}' cannot compute {} on {}; use --device cpu", ggml_backend_name(device_->backend()),
           ggml_op_desc(node), ggml_type_name(node->src[0] != nullptr ? node->src[0]->type : node->type));
    }
  }
  allocator_.reset(ggml_gallocr_new(device_->buffer_type()));
  if (allocator_ == nullptr || !ggml_gallocr_alloc_graph(allocator_.get(), graph_)) {
    fail(ErrorCode::kResourceLimit, "out of memory for the activations of a graph; use a shorter context or fewer sequences");
  }
  device_->count_setup();
}

void Graph::set(ggml_tensor* tensor, std::span<const float> values) { set_tensor(tensor, values); }
void Graph::set(ggml_tensor* tensor, std::span<const int32_t> values) { set_tensor(tensor, values); }
void Graph::set(ggml_tensor* tensor, std::span<const int64_t> values) { set_tensor(tensor, values); }
void Graph::set(ggml_tensor* tensor, std::span<const uint16_t> values) { set_tensor(tensor, values); }
void Graph::get(const ggml_tensor* tensor, std::span<float> values) const { get_tensor(tensor, values); }
void Graph::get(const ggml_tensor* tensor, std::span<int32_t> values) const { get_tensor(tensor, values); }

ggml_tensor* rope(ggml_context* context, ggml_tensor* x, ggml_tensor* positions, ggml_tensor* inverse_frequencies) {
  constexpr float kBase = 1.0f;  // base^anything = 1: the angle is position / inverse_frequency alone
  return ggml_rope_ext(context, x, positions, inverse_frequencies, static_cast<int>(x->ne[0]), GGML_ROPE_TYPE_NEOX, 0, kBase,
                       1.0f, 0.0f, 1.0f, 32.0f, 1.0f);
}

ggml_tensor* attention(ggml_context* context, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask, float scale) {
  const int64_t head_dim = q->ne[0];
  const int64_t n_queries = q->ne[1];
  const int64_t n_heads = q->ne[2];
  const int64_t n_kv_heads = k->ne[2];
  const int64_t batch = q->ne[3];
  const int64_t n_keys = k->ne[1];
  // With one query the heads of a group are columns of one product, so that each key is read once and not once a head.
  const bool grouped = n_queries == 1 && n_heads > n_kv_heads;
  if (grouped) q = ggml_reshape_4d(context, q, head_dim, n_heads / n_kv_heads, n_kv_heads, batch);
  ggml_tensor* scores = ggml_mul_mat(context, k, q);  // {n_keys, n_queries, n_heads, batch}
  if (grouped) scores = ggml_reshape_4d(context, scores, n_keys, 1, n_heads, batch);
  scores = ggml_soft_max_ext(context, scores, mask, scale, 0.0f);
  if (grouped) scores = ggml_reshape_4d(context, scores, n_keys, n_heads / n_kv_heads, n_kv_heads, batch);
  ggml_tensor* mixed = ggml_mul_mat(context, v, scores);  // {head_dim, n_queries, n_heads, batch}
  if (n_queries > 1) mixed = ggml_cont(context, ggml_permute(context, mixed, 0, 2, 1, 3));
  return ggml_reshape_2d(context, mixed, head_dim * n_heads, n_queries * batch);
}

}  // namespace csm::ggml
