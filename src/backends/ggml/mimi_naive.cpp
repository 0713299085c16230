// Mimi's decoder as other ggml programs write it, kept so that `csm bench` can measure both ways in one process: the
// graph is rebuilt for every frame, activations are {steps, channels}, convolutions go through im2col, and upsampling
// is ggml_conv_transpose_1d, which permutes its kernel in every call. Same samples as the other decoder but for
// rounding. The quantiser and the transformer are shared.
#include <fmt/format.h>

#include "backends/ggml/mimi_layers.h"
#include "backends/ggml/mimi_quantiser.h"
#include "backends/ggml/mimi_streams.h"

namespace csm::ggml {
namespace {

// The graph of one frame, used once.
class NaiveFrame {
 public:
  NaiveFrame(const MimiShared& shared, StreamState& state, const AttentionRing& ring)
      : weights_(*shared.weights),
        state_(state),
        graph_(shared.device, max_frame_tensors(shared.weights->spec)),
        stages_(shared.tap),
        dequantiser_(graph_, weights_),
        attention_(graph_, ring, kStepsPerFrame) {
    LayerBuilder layers(*shared.device, graph_, state, stages_, FrameKind::kWhole);
    ggml_tensor* x = layers.upsample_latent("upsample", weights_.upsample, dequantiser_.latent());
    x = layers.transformer("decoder_transformer", weights_, weights_.decoder_transformer, attention_, x);
    x = convolve("decoder.0", weights_.decoder_first, ggml_cont(context(), ggml_transpose(context(), x)));
    for (size_t j = 0; j < weights_.decoder.size(); ++j) {
      const DecoderStage& stage = weights_.decoder[j];
      x = upsample(fmt::format("decoder.{}", 3 * j + 2), stage.up, ggml_elu(context(), x));
      const std::string name = fmt::format("decoder.{}", 3 * j + 3);
      ggml_tensor* y = convolve(name + ".1", stage.block.first, ggml_elu(context(), x));
      x = ggml_add(context(), x, convolve(name + ".3", stage.block.second, ggml_elu(context(), y)));
    }
    samples_ = convolve("decoder.last", weights_.decoder_last, ggml_elu(context(), x));
    graph_.output(samples_);
  }

  void run(AttentionRing& ring, std::span<const int32_t> codes, std::span<float> samples) {
    graph_.allocate();
    dequantiser_.set(graph_, codes);
    attention_.advance(graph_, ring);
    graph_.run();
    graph_.get(samples_, samples);
    stages_.report(graph_);
  }

 private:
  ggml_context* context() const { return graph_.context(); }

  // The last n_past steps of {steps, channels}.
  void keep(ggml_tensor* x, ggml_tensor* past) {
    const int64_t n_past = past->ne[0];
    ggml_tensor* end =
        ggml_view_2d(context(), x, n_past, x->ne[1], x->nb[1], x->nb[0] * static_cast<size_t>(x->ne[0] - n_past));
    graph_.effect(ggml_cpy(context(), end, past));
  }

  ggml_tensor* add_bias(ggml_tensor* x, ggml_tensor* bias) {
    return ggml_add(context(), x, ggml_reshape_2d(context(), bias, 1, bias->ne[0]));
  }

  // ggml_conv_1d, which rounds its input to f16, but in f32 for f32 weights.
  ggml_tensor* convolve(const std::string& name, const Convolution& layer, ggml_tensor* x) {
    if (layer.n_past() > 0) {
      ggml_tensor* past = state_.tensor(name, GGML_TYPE_F32, layer.n_past(), layer.in);
      x = ggml_concat(context(), past, x, 0);
      graph_.effect(x);
      keep(x, past);
    }
    ggml_tensor* kernel = ggml_reshape_3d(context(), layer.weight, layer.kernel, layer.in, layer.out);
    ggml_tensor* columns =
        ggml_im2col(context(), kernel, x, static_cast<int>(layer.stride), 0, 0, 0, 1, 0, false, layer.weight->type);
    ggml_tensor* y =
        ggml_mul_mat(context(), ggml_reshape_2d(context(), columns, columns->ne[0], columns->ne[1]), layer.weight);
    return add_bias(y, layer.bias);
  }

  // Its overhang of one stride is added to the next frame's start.
  ggml_tensor* upsample(const std::string& name, const Upsampling& layer, ggml_tensor* x) {
    const int64_t stride = layer.stride;
    const int64_t n_out = x->ne[0] * stride;
    ggml_tensor* kernel = ggml_reshape_3d(context(), layer.weight, 2 * stride, layer.out, layer.in);
    ggml_tensor* y =
        ggml_conv_transpose_1d(context(), kernel, x, static_cast<int>(stride), 0, 1);  // {n_out + stride, out}
    ggml_tensor* overhang = state_.tensor(name, GGML_TYPE_F32, stride, layer.out);
    ggml_tensor* start = ggml_add(context(), ggml_view_2d(context(), y, stride, layer.out, y->nb[1], 0), overhang);
    ggml_tensor* rest =
        ggml_view_2d(context(), y, n_out - stride, layer.out, y->nb[1], y->nb[0] * static_cast<size_t>(stride));
    ggml_tensor* result = ggml_concat(context(), start, rest, 0);
    graph_.effect(result);
    keep(y, overhang);
    return add_bias(result, layer.bias);
  }

  const MimiWeights& weights_;
  StreamState& state_;
  Graph graph_;
  StageRecorder stages_;
  Dequantiser dequantiser_;
  AttentionInputs attention_;
  ggml_tensor* samples_ = nullptr;
};

class NaiveMimiDecoder final : public CodecDecoder {
 public:
  explicit NaiveMimiDecoder(const MimiShared& shared)
      : shared_(shared),
        state_(shared.device, max_frame_tensors(shared.weights->spec)),
        ring_(shared.weights->spec.window, kStepsPerFrame) {
    const NaiveFrame declares_the_state(shared_, state_, ring_);
    state_.allocate();
  }

  void push(std::span<const int32_t> codes, int n_codebooks, std::vector<float>& samples) override {
    const CodecSpec& spec = shared_.weights->spec;
    check_codes(spec, codes, n_codebooks);
    const auto n = static_cast<size_t>(n_codebooks);
    ring_.check_room(static_cast<int64_t>(codes.size() / n) * kStepsPerFrame);
    for (size_t first = 0; first < codes.size(); first += n) {
      const size_t end = samples.size();
      samples.resize(end + static_cast<size_t>(spec.frame_samples()));
      NaiveFrame frame(shared_, state_, ring_);
      frame.run(ring_, codes.subspan(first, n), std::span<float>(samples).subspan(end));
    }
  }

 private:
  MimiShared shared_;
  StreamState state_;
  AttentionRing ring_;
};

}  // namespace

std::unique_ptr<CodecDecoder> make_naive_mimi_decoder(const MimiShared& shared) {
  return std::make_unique<NaiveMimiDecoder>(shared);
}

}  // namespace csm::ggml
