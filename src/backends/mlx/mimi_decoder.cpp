// Mimi's decoder: codes -> latent -> transformer at twice the frame rate -> SEANet -> samples, one evaluation for each
// frame.
#include <fmt/format.h>

#include "backends/mlx/mimi_layers.h"
#include "backends/mlx/mimi_streams.h"
#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

class MimiDecoder final : public CodecDecoder {
 public:
  explicit MimiDecoder(const MimiShared& shared)
      : shared_(shared), weights_(*shared.weights), ring_(weights_.spec.window, kStepsPerFrame) {}

  void push(std::span<const int32_t> codes, int n_codebooks, std::vector<float>& samples) override {
    check(codes, n_codebooks);
    const auto n = static_cast<size_t>(n_codebooks);
    ring_.check_room(static_cast<int64_t>(codes.size() / n) * kStepsPerFrame);
    const auto frame_samples = static_cast<size_t>(weights_.spec.frame_samples());
    const size_t start = samples.size();
    try {
      guarded("the codec's decoder", [&] {
        for (size_t first = 0; first < codes.size(); first += n) {
          samples.resize(samples.size() + frame_samples);
          decode(codes.subspan(first, n), std::span<float>(samples).last(frame_samples));
        }
      });
    } catch (...) {
      is_lost_ = true;
      samples.resize(start);
      throw;
    }
  }

 private:
  void check(std::span<const int32_t> codes, int n_codebooks) const;
  mx::array latent(const mx::Stream& s, std::span<const int32_t> codes) const;
  void decode(std::span<const int32_t> codes, std::span<float> samples);

  MimiShared shared_;
  const MimiWeights& weights_;
  AttentionRing ring_;
  FrameBuilder::States states_;
  bool is_lost_ = false;
};

void MimiDecoder::check(std::span<const int32_t> codes, int n_codebooks) const {
  const CodecSpec& spec = weights_.spec;
  if (is_lost_)
    fail(ErrorCode::kResourceLimit, "this codec stream was lost when an earlier computation failed; start a new one");
  if (n_codebooks < 1 || n_codebooks > spec.n_codebooks) {
    fail(ErrorCode::kInvalidArgument, "the codec decodes 1..{} codebooks; found {}", spec.n_codebooks, n_codebooks);
  }
  if (codes.size() % static_cast<size_t>(n_codebooks) != 0) {
    fail(ErrorCode::kInvalidArgument, "codes must be whole frames of {} codebooks; found {} codes", n_codebooks,
         codes.size());
  }
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] >= 0 && codes[i] < spec.codebook_size) continue;
    fail(ErrorCode::kInvalidArgument, "code {} of codebook {} in frame {} is out of range; the codec has 0..{}",
         codes[i], i % static_cast<size_t>(n_codebooks), i / static_cast<size_t>(n_codebooks), spec.codebook_size - 1);
  }
}

// The sum of each half's entries through its projection: [1, width].
mx::array MimiDecoder::latent(const mx::Stream& s, std::span<const int32_t> codes) const {
  const auto part = [&](const QuantiserPart& quantiser) {
    mx::array sum = mx::zeros({1, weights_.spec.codebook_dim}, mx::float32, s);
    for (int i = quantiser.first; i < quantiser.first + quantiser.n && i < static_cast<int>(codes.size()); ++i) {
      const auto index = static_cast<size_t>(i);
      const int code = codes[index];
      sum = mx::add(sum, mx::slice(weights_.codebooks[index], {code, 0}, {code + 1, weights_.spec.codebook_dim}, s), s);
    }
    return quantiser.output_projection(sum, s);
  };
  return mx::add(part(weights_.semantic), part(weights_.acoustic), s);
}

void MimiDecoder::decode(std::span<const int32_t> codes, std::span<float> samples) {
  const mx::Stream& s = shared_.device->stream();
  FrameBuilder layers(weights_, s, states_, shared_.tap);
  ring_.advance(kStepsPerFrame);
  const mx::array quantised = latent(s, codes);
  layers.stage("latent", quantised);
  mx::array x = layers.upsample_latent("upsample", quantised);
  layers.stage("upsample", x);
  x = layers.transformer("decoder_transformer", weights_.decoder_transformer, ring_, x);
  x = layers.convolve("decoder.0", weights_.decoder_first, x, Activation::kNone);
  layers.stage("decoder.0", x);
  for (size_t j = 0; j < weights_.decoder.size(); ++j) {
    const std::string up = fmt::format("decoder.{}", 3 * j + 2);
    x = layers.upsample(up, weights_.decoder[j].up, x);
    layers.stage(up, x);
    const std::string block = fmt::format("decoder.{}", 3 * j + 3);
    x = layers.residual(block, weights_.decoder[j].block, x);
    layers.stage(block, x);
  }
  const std::string last = fmt::format("decoder.{}", 3 * weights_.decoder.size() + 2);
  x = layers.convolve(last, weights_.decoder_last, x, Activation::kElu);
  layers.stage(last, x);
  x = mx::contiguous(x, false, s);
  layers.evaluate_with({x});
  read(x, samples);
  if (shared_.tap != nullptr) layers.report(*shared_.tap);
}

}  // namespace

std::unique_ptr<CodecDecoder> make_mimi_decoder(const MimiShared& shared) {
  return std::make_unique<MimiDecoder>(shared);
}

}  // namespace csm::mlx_backend
