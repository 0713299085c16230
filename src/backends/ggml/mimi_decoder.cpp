// Mimi's decoder: codes -> latent -> transformer at twice the frame rate -> SEANet -> samples, one graph for exactly
// one frame.
#include <fmt/format.h>

#include "backends/ggml/mimi_layers.h"
#include "backends/ggml/mimi_quantiser.h"
#include "backends/ggml/mimi_streams.h"

namespace csm::ggml {
namespace {

class MimiDecoder final : public CodecDecoder {
 public:
  explicit MimiDecoder(const MimiShared& shared)
      : weights_(shared.weights),
        graph_(shared.device, max_frame_tensors(shared.weights->spec)),
        state_(shared.device, max_frame_tensors(shared.weights->spec)),
        stages_(shared.tap),
        ring_(weights_->spec.window, kStepsPerFrame),
        dequantiser_(graph_, *weights_),
        attention_(graph_, ring_, kStepsPerFrame) {
    LayerBuilder layers(*shared.device, graph_, state_, stages_, FrameKind::kWhole);
    samples_ = build(layers);
    graph_.output(samples_);
    state_.allocate();
    graph_.allocate();
  }

  void push(std::span<const int32_t> codes, int n_codebooks, std::vector<float>& samples) override {
    check_codes(weights_->spec, codes, n_codebooks);
    const auto n = static_cast<size_t>(n_codebooks);
    ring_.check_room(static_cast<int64_t>(codes.size() / n) * kStepsPerFrame);
    const auto frame_samples = static_cast<size_t>(weights_->spec.frame_samples());
    size_t end = samples.size();
    samples.resize(end + codes.size() / n * frame_samples);
    for (size_t first = 0; first < codes.size(); first += n, end += frame_samples) {
      dequantiser_.set(graph_, codes.subspan(first, n));
      attention_.advance(graph_, ring_);
      graph_.run();
      graph_.get(samples_, std::span<float>(samples).subspan(end, frame_samples));
      stages_.report(graph_);
    }
  }

 private:
  ggml_tensor* build(LayerBuilder& layers) {
    layers.stage("latent", dequantiser_.latent());
    ggml_tensor* x = layers.upsample_latent("upsample", weights_->upsample, dequantiser_.latent());
    layers.stage("upsample", x);
    x = layers.transformer("decoder_transformer", *weights_, weights_->decoder_transformer, attention_, x);
    x = layers.convolve("decoder.0", weights_->decoder_first, x, Activation::kNone);
    layers.stage("decoder.0", x);
    for (size_t j = 0; j < weights_->decoder.size(); ++j) {
      const DecoderStage& stage = weights_->decoder[j];
      const std::string up_name = fmt::format("decoder.{}", 3 * j + 2);
      x = layers.upsample(up_name, stage.up, x);
      layers.stage(up_name, x);
      const std::string block_name = fmt::format("decoder.{}", 3 * j + 3);
      x = layers.residual(block_name, stage.block, x);
      layers.stage(block_name, x);
    }
    const std::string last_name = fmt::format("decoder.{}", 3 * weights_->decoder.size() + 2);
    x = layers.convolve(last_name, weights_->decoder_last, x, Activation::kElu);
    layers.stage(last_name, x);
    return x;
  }

  std::shared_ptr<const MimiWeights> weights_;
  Graph graph_;
  StreamState state_;
  StageRecorder stages_;
  AttentionRing ring_;
  Dequantiser dequantiser_;
  AttentionInputs attention_;
  ggml_tensor* samples_ = nullptr;
};

}  // namespace

std::unique_ptr<CodecDecoder> make_mimi_decoder(const MimiShared& shared) {
  return std::make_unique<MimiDecoder>(shared);
}

}  // namespace csm::ggml
