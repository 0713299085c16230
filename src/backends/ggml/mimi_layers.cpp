#include "backends/ggml/mimi_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/ggml/elu.h"
#include "base/fail.h"

namespace csm::ggml {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 24;
// Overlapping windows are multiplied where they lie, or copied out first: ggml's fast products take contiguous columns
// only, and with this many rows they gain more than the copy costs (measured: 1.3 times at 32 rows, 1.8 times from 64
// on).
constexpr int64_t kMinRowsToCopy = 64;
constexpr int kSlotMultiple = 16;  // ggml's fast matrix products want inner dimensions of whole vectors

ggml_tensor* layer_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, double eps) {
  return ggml_add(context, ggml_mul(context, ggml_norm(context, x, static_cast<float>(eps)), weight), bias);
}

}  // namespace

size_t max_frame_tensors(const CodecSpec& spec) {
  constexpr size_t kPerLayer = 48;  // of a transformer
  constexpr size_t kPerStage = 64;  // resampling and residual block
  constexpr size_t kPerCodebook = 16;
  return kPerLayer * static_cast<size_t>(spec.transformer.n_layers) + kPerStage * (spec.upsampling_ratios.size() + 4) +
         kPerCodebook * static_cast<size_t>(spec.n_codebooks);
}

StreamState::StreamState(std::shared_ptr<Device> device, size_t max_tensors)
    : device_(std::move(device)), max_tensors_(max_tensors), context_(make_context(max_tensors)) {}

ggml_tensor* StreamState::tensor(const std::string& name, ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2) {
  if (tensors_.count(name) == 0) {
    if (buffer_ != nullptr || tensors_.size() >= max_tensors_) {
      fail(ErrorCode::kInternal, "the codec's stream cannot have a state '{}' more", name);
    }
    ggml_tensor* tensor = ggml_new_tensor_3d(context_.get(), type, ne0, ne1, ne2);
    ggml_set_name(tensor, name.c_str());
    tensors_.emplace(name, tensor);
    return tensor;
  }
  ggml_tensor* tensor = find(name);
  if (tensor->type != type || tensor->ne[0] != ne0 || tensor->ne[1] != ne1 || tensor->ne[2] != ne2) {
    fail(ErrorCode::kInternal, "the codec's stream has a state '{}' of another shape than {} x {} x {}", name, ne0, ne1,
         ne2);
  }
  return tensor;
}

ggml_tensor* StreamState::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ErrorCode::kInternal, "the codec's stream has no state '{}'", name);
  return found->second;
}

void StreamState::allocate() { buffer_ = device_->allocate(context_.get(), device_->buffer_type(), "a codec stream"); }

void StageRecorder::record(Graph& graph, const std::string& name, ggml_tensor* tensor) {
  if (tap_ == nullptr) return;
  // A copy, since a later operation may work in place.
  ggml_tensor* copy = ggml_cont(graph.context(), tensor);
  graph.output(copy);
  stages_.emplace_back(name, copy);
}

void StageRecorder::report(const Graph& graph) const {
  for (const auto& [name, tensor] : stages_) {
    std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
    graph.get(tensor, values);
    tap_->on_stage(name, values, static_cast<int>(tensor->ne[1]), static_cast<int>(tensor->ne[0]));
  }
}

AttentionRing::AttentionRing(int window, int max_steps)
    : window_(window),
      position_of_slot_(
          static_cast<size_t>((window + max_steps - 1 + kSlotMultiple - 1) / kSlotMultiple * kSlotMultiple), -1) {}

void AttentionRing::check_room(int64_t n_steps) const {
  if (n_steps > kMaxPositions - next_position_) {
    fail(ErrorCode::kResourceLimit, "a codec stream cannot be longer than {} latent steps; start a new one",
         kMaxPositions);
  }
}

void AttentionRing::advance(int n, std::span<int32_t> positions, std::span<int64_t> slots, std::span<float> mask) {
  check_room(n);
  const auto n_slots = static_cast<int64_t>(position_of_slot_.size());
  for (int i = 0; i < n; ++i) {
    const int64_t position = next_position_ + i;
    positions[static_cast<size_t>(i)] = static_cast<int32_t>(position);
    slots[static_cast<size_t>(i)] = position % n_slots;
    position_of_slot_[static_cast<size_t>(position % n_slots)] = position;
  }
  auto out = mask.begin();
  for (int i = 0; i < n; ++i) {
    for (const int64_t position : position_of_slot_) {
      const int64_t age = next_position_ + i - position;
      *out++ = position >= 0 && age >= 0 && age < window_ ? 0.0f : -std::numeric_limits<float>::infinity();
    }
  }
  next_position_ += n;
}

AttentionInputs::AttentionInputs(Graph& graph, const AttentionRing& ring, int n_steps)
    : positions(graph.input(GGML_TYPE_I32, n_steps)),
      slots(graph.input(GGML_TYPE_I64, n_steps)),
      mask(graph.input(GGML_TYPE_F32, ring.n_slots(), n_steps)),
      position_values_(static_cast<size_t>(n_steps)),
      slot_values_(static_cast<size_t>(n_steps)),
      mask_values_(static_cast<size_t>(n_steps) * static_cast<size_t>(ring.n_slots())) {}

void AttentionInputs::advance(Graph& graph, AttentionRing& ring) {
  ring.advance(static_cast<int>(position_values_.size()), position_values_, slot_values_, mask_values_);
  graph.set(positions, std::span<const int32_t>(position_values_));
  graph.set(slots, std::span<const int64_t>(slot_values_));
  graph.set(mask, std::span<const float>(mask_values_));
}

ggml_tensor* sliding_windows(ggml_context* context, ggml_tensor* x, int64_t kernel, int64_t stride, int64_t n_windows) {
  if (kernel == stride) return ggml_reshape_2d(context, x, x->ne[0] * kernel, n_windows);
  // ggml measures a view by elements times rows, which overlapping windows exceed; so it is made as one row and then
  // grown. Its last byte is within x.
  ggml_tensor* windows = ggml_view_2d(context, x, x->ne[0] * kernel, 1, x->nb[1] * static_cast<size_t>(stride), 0);
  windows->ne[1] = n_windows;
  windows->nb[2] = windows->nb[3] = windows->nb[1] * static_cast<size_t>(n_windows);
  return windows;
}

ggml_tensor* LayerBuilder::elu(ggml_tensor* x) { return is_cpu_ ? cpu_elu(context(), x) : ggml_elu(context(), x); }

ggml_tensor* LayerBuilder::extend(const std::string& name, ggml_tensor* x, int64_t n_past, int64_t n_new,
                                  Activation before) {
  const int64_t channels = x->ne[0];
  const bool is_padded = n_new > x->ne[1];
  const bool activate_in_place = before == Activation::kElu && is_cpu_ && n_past > 0 && !is_padded;
  if (before == Activation::kElu && !activate_in_place) x = elu(x);
  if (is_padded) x = ggml_pad(context(), x, 0, static_cast<int>(n_new - x->ne[1]), 0, 0);
  if (n_past == 0) return x;
  ggml_tensor* all = nullptr;
  if (kind_ == FrameKind::kWhole) {
    all = state_.tensor(name, GGML_TYPE_F32, channels, n_past + n_new);
  } else {  // not longer than a whole frame
    ggml_tensor* whole = state_.find(name);
    all = ggml_view_2d(context(), whole, channels, n_past + n_new, whole->nb[1], 0);
  }
  ggml_tensor* place =
      ggml_view_2d(context(), all, channels, n_new, all->nb[1], all->nb[1] * static_cast<size_t>(n_past));
  graph_.effect(activate_in_place ? cpu_elu_into(context(), place, x) : ggml_cpy(context(), x, place));
  return all;
}

void LayerBuilder::keep(ggml_tensor* extended, int64_t n_past) {
  if (kind_ == FrameKind::kLast || n_past == 0) return;
  const int64_t channels = extended->ne[0];
  const int64_t n_new = extended->ne[1] - n_past;
  const size_t step_bytes = extended->nb[1];
  ggml_tensor* end =
      ggml_view_2d(context(), extended, channels, n_past, step_bytes, step_bytes * static_cast<size_t>(n_new));
  if (n_new < n_past) end = ggml_cont(context(), end);  // it overlaps its new place
  graph_.effect(ggml_cpy(context(), end, ggml_view_2d(context(), extended, channels, n_past, step_bytes, 0)));
}

ggml_tensor* LayerBuilder::multiply(ggml_tensor* weight, ggml_tensor* extended, int64_t kernel, int64_t stride,
                                    int64_t n_windows) {
  ggml_tensor* windows = sliding_windows(context(), extended, kernel, stride, n_windows);
  // Other devices cannot be trusted with columns that overlap.
  if (kernel > stride && (weight->ne[1] >= kMinRowsToCopy || !is_cpu_)) windows = ggml_cont(context(), windows);
  return ggml_mul_mat(context(), weight, windows);
}

ggml_tensor* LayerBuilder::convolve(const std::string& name, const Convolution& layer, ggml_tensor* x,
                                    Activation before) {
  const int64_t n_out = (x->ne[1] + layer.stride - 1) / layer.stride;
  ggml_tensor* extended = extend(name, x, layer.n_past(), n_out * layer.stride, before);
  ggml_tensor* y = multiply(layer.weight, extended, layer.kernel, layer.stride, n_out);
  graph_.effect(y);
  keep(extended, layer.n_past());
  return layer.bias != nullptr ? ggml_add(context(), y, layer.bias) : y;
}

ggml_tensor* LayerBuilder::upsample(const std::string& name, const Upsampling& layer, ggml_tensor* x) {
  const int64_t n_in = x->ne[1];
  ggml_tensor* extended = extend(name, x, 1, n_in, Activation::kElu);
  // {stride * out, n_in} is {out, n_in * stride}: the result needs no rearranging.
  ggml_tensor* y = multiply(layer.weight, extended, 2, 1, n_in);
  graph_.effect(y);
  keep(extended, 1);
  return ggml_add(context(), ggml_reshape_2d(context(), y, layer.out, n_in * layer.stride), layer.bias);
}

// Both new steps see the current latent (kernel rows 0, 1) and the one before (rows 2, 3).
ggml_tensor* LayerBuilder::upsample_latent(const std::string& name, ggml_tensor* kernel, ggml_tensor* latent) {
  const int64_t width = kernel->ne[0];
  ggml_tensor* previous = state_.tensor(name, GGML_TYPE_F32, width, 1);
  const auto rows = [&](size_t first) {
    return ggml_view_2d(context(), kernel, width, 2, kernel->nb[1], kernel->nb[1] * first);
  };
  ggml_tensor* x = ggml_add(context(), ggml_mul(context(), rows(0), latent), ggml_mul(context(), rows(2), previous));
  graph_.effect(x);
  graph_.effect(ggml_cpy(context(), latent, previous));
  return x;
}

ggml_tensor* LayerBuilder::residual(const std::string& name, const ResidualBlock& block, ggml_tensor* x) {
  ggml_tensor* y = convolve(name + ".1", block.first, x, Activation::kElu);
  y = convolve(name + ".3", block.second, y, Activation::kElu);
  return ggml_add(context(), x, y);
}

ggml_tensor* LayerBuilder::attend(const std::string& name, const MimiWeights& weights, const CodecLayer& layer,
                                  const AttentionInputs& inputs, ggml_tensor* x) {
  const TransformerSpec& spec = weights.spec.transformer;
  const int64_t n_steps = x->ne[1];
  const int64_t n_slots = inputs.mask->ne[0];
  const int64_t head_dim = spec.head_dim;
  const int64_t n_heads = spec.n_heads;
  const int64_t n_kv_heads = spec.n_kv_heads;
  ggml_tensor* qkv = ggml_mul_mat(context(), layer.qkv, x);  // {head_dim * (n_heads + 2 * n_kv_heads), n_steps}
  const size_t head_bytes = qkv->nb[0] * static_cast<size_t>(head_dim);
  ggml_tensor* qk = ggml_view_3d(context(), qkv, head_dim, n_heads + n_kv_heads, n_steps, head_bytes, qkv->nb[1], 0);
  qk = rope(context(), qk, inputs.positions, weights.inverse_frequencies);

  // The ring: keys {head_dim, slot, head}, values transposed {slot, head_dim * head}, both written by slot.
  ggml_tensor* k_ring = state_.tensor(name + ".k", GGML_TYPE_F32, head_dim, n_slots, n_kv_heads);
  ggml_tensor* v_ring = state_.tensor(name + ".v", GGML_TYPE_F32, 1, n_slots, head_dim * n_kv_heads);
  ggml_tensor* k = ggml_view_3d(context(), qk, head_dim, n_steps, n_kv_heads, qk->nb[2], qk->nb[1],
                                qk->nb[1] * static_cast<size_t>(n_heads));
  ggml_tensor* v = ggml_view_3d(context(), qkv, 1, n_steps, head_dim * n_kv_heads, qkv->nb[1], qkv->nb[0],
                                head_bytes * static_cast<size_t>(n_heads + n_kv_heads));
  graph_.effect(ggml_set_rows(context(), k_ring, k, inputs.slots));
  graph_.effect(ggml_set_rows(context(), v_ring, v, inputs.slots));

  ggml_tensor* q = ggml_view_3d(context(), qk, head_dim, n_heads, n_steps, qk->nb[1], qk->nb[2], 0);
  q = ggml_cont(context(), ggml_permute(context(), q, 0, 2, 1, 3));  // {head_dim, n_steps, n_heads}
  ggml_tensor* values = ggml_reshape_3d(context(), v_ring, n_slots, head_dim, n_kv_heads);
  return attention(context(), q, k_ring, values, inputs.mask, 1.0f / std::sqrt(static_cast<float>(head_dim)));
}

ggml_tensor* LayerBuilder::transformer(const std::string& name, const MimiWeights& weights,
                                       const std::vector<CodecLayer>& layers, const AttentionInputs& inputs,
                                       ggml_tensor* x) {
  const double eps = weights.spec.transformer.norm_eps;
  for (size_t i = 0; i < layers.size(); ++i) {
    const CodecLayer& layer = layers[i];
    const std::string layer_name = fmt::format("{}.{}", name, i);
    ggml_tensor* y = layer_norm(context(), x, layer.norm1, layer.norm1_bias, eps);
    y = ggml_mul_mat(context(), layer.out, attend(layer_name, weights, layer, inputs, y));
    x = ggml_add(context(), x, ggml_mul(context(), y, layer.scale1));
    y = layer_norm(context(), x, layer.norm2, layer.norm2_bias, eps);
    y = ggml_mul_mat(context(), layer.fc2, ggml_gelu_erf(context(), ggml_mul_mat(context(), layer.fc1, y)));
    x = ggml_add(context(), x, ggml_mul(context(), y, layer.scale2));
    stage(layer_name, x);
  }
  return x;
}

}  // namespace csm::ggml
