#include "backends/mlx/mimi_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/mlx/transformer.h"
#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

constexpr bool kInterleavedPairs = false;            // checkpoints give q and k half-split
constexpr int64_t kMaxPositions = int64_t{1} << 24;  // what float32 positions count exactly

mx::array elu(const mx::array& x, const mx::Stream& s) {
  return mx::where(mx::greater(x, mx::array(0.0f), s), x, mx::expm1(x, s), s);
}

mx::array gelu(const mx::array& x, const mx::Stream& s) {
  const mx::array cdf = mx::add(mx::erf(mx::multiply(x, mx::array(std::sqrt(0.5f)), s), s), mx::array(1.0f), s);
  return mx::multiply(mx::multiply(x, mx::array(0.5f), s), cdf, s);
}

// Steps first .. last - 1.
mx::array steps(const mx::array& x, int first, int last, const mx::Stream& s) {
  return mx::slice(x, {first, 0}, {last, x.shape(1)}, s);
}

// n_windows windows of kernel steps, stride apart: [n_windows, kernel * channels].
mx::array windows(const mx::array& x, int kernel, int stride, int n_windows, const mx::Stream& s) {
  const int channels = x.shape(1);
  if (kernel == stride) return mx::reshape(x, {n_windows, kernel * channels}, s);
  return mx::as_strided(x, {n_windows, kernel * channels}, {int64_t{stride} * channels, 1}, 0, s);
}

}  // namespace

AttentionRing::AttentionRing(int window, int max_steps)
    : window_(window),
      position_of_slot_(static_cast<size_t>((window + 2 * max_steps - 2) / max_steps * max_steps), -1) {}

void AttentionRing::check_room(int64_t n_steps) const {
  if (n_steps > kMaxPositions - next_position_) {
    fail(ErrorCode::kResourceLimit, "a codec stream cannot be longer than {} latent steps; start a new one",
         kMaxPositions);
  }
}

void AttentionRing::advance(int n) {
  check_room(n);
  position_ = next_position_;
  first_slot_ = static_cast<int>(position_ % n_slots());
  next_position_ += n;
  for (int i = 0; i < n; ++i) position_of_slot_[static_cast<size_t>(first_slot_ + i)] = position_ + i;
  mask_.clear();
  for (int i = 0; i < n; ++i) {
    for (const int64_t position : position_of_slot_) {
      const int64_t age = position_ + i - position;
      mask_.push_back(position >= 0 && age >= 0 && age < window_ ? 0.0f : -std::numeric_limits<float>::infinity());
    }
  }
}

mx::array FrameBuilder::past(const std::string& name, int n, int channels) {
  const auto found = states_.find(name);
  return found != states_.end() ? found->second : mx::zeros({n, channels}, mx::float32, s_);
}

void FrameBuilder::stage(const std::string& name, const mx::array& x) {
  if (is_tapped_) stages_.emplace_back(name, mx::contiguous(x, false, s_));
}

void FrameBuilder::report(StageTap& tap) const {
  for (const auto& [name, array] : stages_) {
    std::vector<float> values(array.size());
    read(array, values);
    tap.on_stage(name, values, array.shape(0), array.shape(1));
  }
}

void FrameBuilder::evaluate_with(std::vector<mx::array> results) {
  for (const auto& [name, array] : stages_) results.push_back(array);
  for (const auto& [name, array] : states_) results.push_back(array);
  evaluate(results);
}

mx::array FrameBuilder::convolve(const std::string& name, const Convolution& layer, const mx::array& x,
                                 Activation before) {
  mx::array input = before == Activation::kElu ? elu(x, s_) : x;
  const int n_out = (x.shape(0) + layer.stride - 1) / layer.stride;
  const int missing = n_out * layer.stride - x.shape(0);  // at the end of a stream
  if (missing > 0) input = mx::concatenate({input, mx::zeros({missing, x.shape(1)}, mx::float32, s_)}, 0, s_);
  if (layer.n_past() > 0) {
    input = mx::concatenate({past(name, layer.n_past(), x.shape(1)), input}, 0, s_);
    remember(name, steps(input, input.shape(0) - layer.n_past(), input.shape(0), s_));
  }
  const mx::array y = layer.weight(windows(input, layer.kernel, layer.stride, n_out, s_), s_);
  return layer.bias ? mx::add(y, *layer.bias, s_) : y;
}

mx::array FrameBuilder::upsample(const std::string& name, const Upsampling& layer, const mx::array& x) {
  const int n = x.shape(0);
  const mx::array input = mx::concatenate({past(name, 1, x.shape(1)), elu(x, s_)}, 0, s_);
  remember(name, steps(input, n, n + 1, s_));
  const mx::array y = layer.weight(windows(input, 2, 1, n, s_), s_);
  return mx::add(mx::reshape(y, {n * layer.stride, layer.out}, s_), layer.bias, s_);
}

// Both new steps hear the current latent (kernel rows 0, 1) and the one before (rows 2, 3).
mx::array FrameBuilder::upsample_latent(const std::string& name, const mx::array& latent) {
  const mx::array& kernel = weights_.upsample;
  const int n_steps = kernel.shape(0) / 2;
  const mx::array previous = past(name, 1, latent.shape(1));
  remember(name, latent);
  return mx::add(mx::multiply(steps(kernel, 0, n_steps, s_), latent, s_),
                 mx::multiply(steps(kernel, n_steps, 2 * n_steps, s_), previous, s_), s_);
}

mx::array FrameBuilder::downsample(const std::string& name, const mx::array& x) {
  const Convolution& layer = weights_.downsample;
  const int n = x.shape(0);
  const auto repeated = [&](const mx::array& step, int times) { return mx::repeat(step, times, 0, s_); };
  const auto found = states_.find(name);
  const mx::array before = found != states_.end() ? found->second : repeated(steps(x, 0, 1, s_), layer.n_past());
  mx::array input = mx::concatenate({before, x}, 0, s_);
  if (n < layer.stride) input = mx::concatenate({input, repeated(steps(x, n - 1, n, s_), layer.stride - n)}, 0, s_);
  remember(name, steps(input, input.shape(0) - layer.n_past(), input.shape(0), s_));
  return layer.weight(windows(input, layer.kernel, layer.stride, 1, s_), s_);
}

mx::array FrameBuilder::residual(const std::string& name, const ResidualBlock& block, const mx::array& x) {
  mx::array y = convolve(name + ".1", block.first, x, Activation::kElu);
  y = convolve(name + ".3", block.second, y, Activation::kElu);
  return mx::add(x, y, s_);
}

mx::array FrameBuilder::attend(const std::string& name, const CodecLayer& layer, const AttentionRing& ring,
                               const mx::array& x) {
  const TransformerSpec& spec = weights_.spec.transformer;
  const int n = x.shape(0);
  const int n_rotated = spec.n_heads + spec.n_kv_heads;
  mx::array qkv = mx::reshape(layer.qkv(x, s_), {1, n, n_rotated + spec.n_kv_heads, spec.head_dim}, s_);
  qkv = mx::transpose(qkv, {0, 2, 1, 3}, s_);
  const auto heads = [&](const mx::array& of, int first, int count) {
    return mx::slice(of, {0, first, 0, 0}, {1, first + count, n, spec.head_dim}, s_);
  };
  const mx::array qk = mx::fast::rope(heads(qkv, 0, n_rotated), spec.head_dim, kInterleavedPairs, std::nullopt, 1.0f,
                                      static_cast<int>(ring.position()), weights_.wavelengths, s_);
  const auto remembered = [&](const std::string& which, const mx::array& added) {
    const std::string key = name + which;
    const auto found = states_.find(key);
    const mx::array slots = found != states_.end()
                                ? found->second
                                : mx::zeros({1, spec.n_kv_heads, ring.n_slots(), spec.head_dim}, mx::float32, s_);
    const int first = ring.first_slot();
    const mx::array updated = mx::slice_update(slots, added, mx::Shape{0, 0, first, 0},
                                               mx::Shape{1, spec.n_kv_heads, first + n, spec.head_dim}, s_);
    remember(key, updated);
    return updated;
  };
  const mx::array k = remembered(".k", heads(qk, spec.n_heads, spec.n_kv_heads));
  const mx::array v = remembered(".v", heads(qkv, n_rotated, spec.n_kv_heads));
  const mx::array mask = to_array(ring.mask(), {n, ring.n_slots()});
  const mx::array mixed = mx::fast::scaled_dot_product_attention(heads(qk, 0, spec.n_heads), k, v,
                                                                 1.0f / std::sqrt(static_cast<float>(spec.head_dim)),
                                                                 "array", mask, {}, false, s_);
  return mx::reshape(mx::transpose(mixed, {0, 2, 1, 3}, s_), {n, spec.n_heads * spec.head_dim}, s_);
}

mx::array FrameBuilder::transformer(const std::string& name, const std::vector<CodecLayer>& layers,
                                    const AttentionRing& ring, mx::array x) {
  const auto eps = static_cast<float>(weights_.spec.transformer.norm_eps);
  for (size_t i = 0; i < layers.size(); ++i) {
    const CodecLayer& layer = layers[i];
    const std::string layer_name = fmt::format("{}.{}", name, i);
    mx::array y = mx::fast::layer_norm(x, layer.norm1, layer.norm1_bias, eps, s_);
    y = layer.out(attend(layer_name, layer, ring, y), s_);
    x = mx::add(x, mx::multiply(y, layer.scale1, s_), s_);
    y = mx::fast::layer_norm(x, layer.norm2, layer.norm2_bias, eps, s_);
    y = layer.fc2(gelu(layer.fc1(y, s_), s_), s_);
    x = mx::add(x, mx::multiply(y, layer.scale2, s_), s_);
    stage(layer_name, x);
  }
  return x;
}

}  // namespace csm::mlx_backend
