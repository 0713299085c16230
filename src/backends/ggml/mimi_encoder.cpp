// Mimi's encoder: samples -> SEANet -> transformer -> latent at half its rate -> codes, one graph for exactly one
// frame, and one made for the last, partial frame.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/ggml/mimi_layers.h"
#include "backends/ggml/mimi_quantiser.h"
#include "backends/ggml/mimi_streams.h"
#include "base/fail.h"

namespace csm::ggml {
namespace {

int latent_steps(const CodecSpec& spec, int64_t n_samples) {
  int64_t steps = n_samples;
  for (auto ratio = spec.upsampling_ratios.rbegin(); ratio != spec.upsampling_ratios.rend(); ++ratio)
    steps = (steps + *ratio - 1) / *ratio;
  return static_cast<int>(steps);
}

// The graph of n_samples samples: of a whole frame, or of what is left at the end of a stream.
class FrameGraph {
 public:
  FrameGraph(const MimiShared& shared, StreamState& state, const AttentionRing& ring, FrameKind kind, int64_t n_samples)
      : weights_(shared.weights),
        n_steps_(latent_steps(weights_->spec, n_samples)),
        graph_(shared.device, max_frame_tensors(shared.weights->spec)),
        stages_(shared.tap),
        samples_(graph_.input(GGML_TYPE_F32, 1, n_samples)),
        edges_(graph_.input(GGML_TYPE_I32, weights_->downsample.kernel)),
        attention_(graph_, ring, n_steps_),
        quantiser_(graph_, state, stages_, *weights_, latent(*shared.device, state, kind)) {}

  void allocate() { graph_.allocate(); }

  // is_first: there is no frame before this one in the stream.
  void run(AttentionRing& ring, std::span<const float> samples, bool is_first, std::span<int32_t> codes) {
    graph_.set(samples_, samples);
    set_edges(is_first);
    attention_.advance(graph_, ring);
    graph_.run();
    quantiser_.get(graph_, codes);
    stages_.report(graph_);
  }

 private:
  ggml_tensor* latent(const Device& device, StreamState& state, FrameKind kind) {
    LayerBuilder layers(device, graph_, state, stages_, kind);
    ggml_tensor* x = layers.convolve("encoder.0", weights_->encoder_first, samples_, Activation::kNone);
    layers.stage("encoder.0", x);
    for (size_t j = 0; j < weights_->encoder.size(); ++j) {
      const EncoderStage& stage = weights_->encoder[j];
      const std::string block_name = fmt::format("encoder.{}", 3 * j + 1);
      x = layers.residual(block_name, stage.block, x);
      layers.stage(block_name, x);
      const std::string down_name = fmt::format("encoder.{}", 3 * j + 3);
      x = layers.convolve(down_name, stage.down, x, Activation::kElu);
      layers.stage(down_name, x);
    }
    const std::string last_name = fmt::format("encoder.{}", 3 * weights_->encoder.size() + 2);
    x = layers.convolve(last_name, weights_->encoder_last, x, Activation::kElu);
    layers.stage(last_name, x);
    x = layers.transformer("encoder_transformer", *weights_, weights_->encoder_transformer, attention_, x);
    x = downsample(state, kind, x);
    layers.stage("latent", x);
    return x;
  }

  // One window of kernel steps, chosen by index out of the steps of the frame before and those of this one: the ends of
  // a stream repeat their first and last step.
  ggml_tensor* downsample(StreamState& state, FrameKind kind, ggml_tensor* x) {
    ggml_context* context = graph_.context();
    const Convolution& layer = weights_->downsample;
    ggml_tensor* previous = state.tensor("downsample", GGML_TYPE_F32, layer.in, kStepsPerFrame);
    ggml_tensor* steps = ggml_concat(context, previous, x, 1);
    ggml_tensor* window = ggml_reshape_1d(context, ggml_get_rows(context, steps, edges_), layer.in * layer.kernel);
    ggml_tensor* y = ggml_mul_mat(context, layer.weight, window);
    graph_.effect(y);
    if (kind == FrameKind::kWhole) graph_.effect(ggml_cpy(context, x, previous));
    return y;
  }

  void set_edges(bool is_first) {
    const auto kernel = static_cast<int>(edge_values_.size());
    const int first = is_first ? kStepsPerFrame : 0;
    const int last = kStepsPerFrame + n_steps_ - 1;
    // The window ends with this frame's two steps.
    for (int i = 0; i < kernel; ++i)
      edge_values_[static_cast<size_t>(i)] = std::clamp(2 * kStepsPerFrame - kernel + i, first, last);
    graph_.set(edges_, std::span<const int32_t>(edge_values_));
  }

  std::shared_ptr<const MimiWeights> weights_;
  int n_steps_;
  Graph graph_;
  StageRecorder stages_;
  ggml_tensor* samples_;
  ggml_tensor* edges_;
  AttentionInputs attention_;
  Quantiser quantiser_;
  std::vector<int32_t> edge_values_ = std::vector<int32_t>(static_cast<size_t>(weights_->downsample.kernel));
};

class MimiEncoder final : public CodecEncoder {
 public:
  explicit MimiEncoder(const MimiShared& shared)
      : shared_(shared),
        frame_samples_(static_cast<size_t>(shared.weights->spec.frame_samples())),
        state_(shared.device, max_frame_tensors(shared.weights->spec)),
        ring_(shared.weights->spec.window, kStepsPerFrame),
        frame_(shared, state_, ring_, FrameKind::kWhole, static_cast<int64_t>(frame_samples_)) {
    state_.allocate();
    frame_.allocate();
    pending_.reserve(frame_samples_);
  }

  void push(std::span<const float> samples, std::vector<int32_t>& codes) override {
    check(samples);
    while (!samples.empty()) {
      const size_t n = std::min(samples.size(), frame_samples_ - pending_.size());
      if (n == frame_samples_) {
        encode(frame_, samples.first(n), codes);
      } else {
        pending_.insert(pending_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(n));
        if (pending_.size() == frame_samples_) {
          encode(frame_, pending_, codes);
          pending_.clear();
        }
      }
      samples = samples.subspan(n);
    }
  }

  void finish(std::vector<int32_t>& codes) override {
    check({});
    is_finished_ = true;
    if (pending_.empty()) return;
    FrameGraph last(shared_, state_, ring_, FrameKind::kLast, static_cast<int64_t>(pending_.size()));
    last.allocate();
    encode(last, pending_, codes);
    pending_.clear();
  }

 private:
  // Nothing changes unless all of the samples can be encoded.
  void check(std::span<const float> samples) const {
    if (is_finished_)
      fail(ErrorCode::kInvalidArgument, "the codec's encoder was finished; make a new one for more samples");
    for (size_t i = 0; i < samples.size(); ++i) {
      if (!std::isfinite(samples[i]))
        fail(ErrorCode::kInvalidArgument, "sample {} is {}; the codec encodes finite samples only", i, samples[i]);
    }
    const size_t n_frames = (pending_.size() + samples.size()) / frame_samples_ + 1;
    ring_.check_room(static_cast<int64_t>(n_frames) * kStepsPerFrame);
  }

  void encode(FrameGraph& graph, std::span<const float> samples, std::vector<int32_t>& codes) {
    const size_t end = codes.size();
    codes.resize(end + static_cast<size_t>(shared_.weights->spec.n_codebooks));
    graph.run(ring_, samples, is_first_, std::span<int32_t>(codes).subspan(end));
    is_first_ = false;
  }

  MimiShared shared_;
  size_t frame_samples_;
  StreamState state_;
  AttentionRing ring_;
  FrameGraph frame_;
  std::vector<float> pending_;  // less than a frame
  bool is_first_ = true;
  bool is_finished_ = false;
};

}  // namespace

std::unique_ptr<CodecEncoder> make_mimi_encoder(const MimiShared& shared) {
  return std::make_unique<MimiEncoder>(shared);
}

}  // namespace csm::ggml
