// Mimi's encoder: samples -> SEANet -> transformer -> latent at half its rate -> codes, one evaluation for each frame.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/mlx/mimi_layers.h"
#include "backends/mlx/mimi_streams.h"
#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

class MimiEncoder final : public CodecEncoder {
 public:
  explicit MimiEncoder(const MimiShared& shared)
      : shared_(shared),
        weights_(*shared.weights),
        frame_samples_(static_cast<size_t>(weights_.spec.frame_samples())),
        ring_(weights_.spec.window, kStepsPerFrame) {
    pending_.reserve(frame_samples_);
  }

  void push(std::span<const float> samples, std::vector<int32_t>& codes) override {
    check(samples);
    while (!samples.empty()) {
      const size_t n = std::min(samples.size(), frame_samples_ - pending_.size());
      pending_.insert(pending_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(n));
      samples = samples.subspan(n);
      if (pending_.size() == frame_samples_) encode_pending(codes);
    }
  }

  void finish(std::vector<int32_t>& codes) override {
    check({});
    is_finished_ = true;
    if (!pending_.empty()) encode_pending(codes);
  }

 private:
  void check(std::span<const float> samples) const;
  void encode_pending(std::vector<int32_t>& codes);
  mx::array latent(FrameBuilder& layers);
  void search(FrameBuilder& layers, const std::string& name, const QuantiserPart& part, const mx::array& latent,
              std::vector<mx::array>& found) const;

  MimiShared shared_;
  const MimiWeights& weights_;
  size_t frame_samples_;
  AttentionRing ring_;
  FrameBuilder::States states_;
  std::vector<float> pending_;  // less than a frame
  bool is_finished_ = false;
  bool is_lost_ = false;
};

// Nothing changes unless all of the samples can be encoded.
void MimiEncoder::check(std::span<const float> samples) const {
  if (is_lost_)
    fail(ErrorCode::kResourceLimit, "this codec stream was lost when an earlier computation failed; start a new one");
  if (is_finished_)
    fail(ErrorCode::kInvalidArgument, "the codec's encoder was finished; make a new one for more samples");
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!std::isfinite(samples[i]))
      fail(ErrorCode::kInvalidArgument, "sample {} is {}; the codec encodes finite samples only", i, samples[i]);
  }
  const size_t n_frames = (pending_.size() + samples.size()) / frame_samples_ + 1;
  ring_.check_room(static_cast<int64_t>(n_frames) * kStepsPerFrame);
}

mx::array MimiEncoder::latent(FrameBuilder& layers) {
  mx::array x = layers.convolve("encoder.0", weights_.encoder_first,
                                to_array(pending_, {static_cast<int>(pending_.size()), 1}), Activation::kNone);
  layers.stage("encoder.0", x);
  for (size_t j = 0; j < weights_.encoder.size(); ++j) {
    const std::string block = fmt::format("encoder.{}", 3 * j + 1);
    x = layers.residual(block, weights_.encoder[j].block, x);
    layers.stage(block, x);
    const std::string down = fmt::format("encoder.{}", 3 * j + 3);
    x = layers.convolve(down, weights_.encoder[j].down, x, Activation::kElu);
    layers.stage(down, x);
  }
  const std::string last = fmt::format("encoder.{}", 3 * weights_.encoder.size() + 2);
  x = layers.convolve(last, weights_.encoder_last, x, Activation::kElu);
  layers.stage(last, x);
  ring_.advance(x.shape(0));
  x = layers.transformer("encoder_transformer", weights_.encoder_transformer, ring_, x);
  x = layers.downsample("downsample", x);
  layers.stage("latent", x);
  return x;
}

// The nearest entry has the greatest r.E - |E|^2 / 2. Both parts start from the latent itself.
void MimiEncoder::search(FrameBuilder& layers, const std::string& name, const QuantiserPart& part,
                         const mx::array& latent, std::vector<mx::array>& found) const {
  const mx::Stream& s = layers.stream();
  mx::array residual = part.input_projection(latent, s);
  layers.stage(name + ".residual", residual);
  for (int i = part.first; i < part.first + part.n; ++i) {
    const auto index = static_cast<size_t>(i);
    const mx::array scores = mx::subtract(weights_.scores[index](residual, s), weights_.half_norms[index], s);
    found.push_back(mx::astype(mx::argmax(scores, 1, false, s), mx::int32, s));
    residual = mx::subtract(residual, mx::take(weights_.codebooks[index], found.back(), 0, s), s);
    layers.stage(name + ".residual", residual);
  }
}

void MimiEncoder::encode_pending(std::vector<int32_t>& codes) {
  try {
    guarded("the codec's encoder", [&] {
      const mx::Stream& s = shared_.device->stream();
      FrameBuilder layers(weights_, s, states_, shared_.tap);
      const mx::array x = latent(layers);
      std::vector<mx::array> found;
      search(layers, "semantic", weights_.semantic, x, found);
      search(layers, "acoustic", weights_.acoustic, x, found);
      const mx::array frame = mx::concatenate(found, 0, s);
      layers.evaluate_with({frame});
      std::vector<int32_t> values(frame.size());
      read(frame, values);
      codes.insert(codes.end(), values.begin(), values.end());
      if (shared_.tap != nullptr) layers.report(*shared_.tap);
    });
  } catch (...) {
    is_lost_ = true;
    throw;
  }
  pending_.clear();
}

}  // namespace

std::unique_ptr<CodecEncoder> make_mimi_encoder(const MimiShared& shared) {
  return std::make_unique<MimiEncoder>(shared);
}

}  // namespace csm::mlx_backend
