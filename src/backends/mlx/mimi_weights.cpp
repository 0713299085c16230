#include "backends/mlx/mimi_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "backends/mlx/transformer.h"
#include "base/fail.h"

namespace csm::mlx_backend {
namespace {

constexpr float kMinUsage = 1e-5f;  // the reference's clamp of cluster_usage
constexpr int kLatentStride = 2;    // down- and upsampling between frames and latent steps

class Loader {
 public:
  Loader(WeightLoader& weights, const Checkpoint& checkpoint, WeightType type)
      : weights_(weights), s_(weights_.stream()), checkpoint_(checkpoint), type_(type) {}

  Convolution convolution(const std::string& name, int stride);
  Convolution biased_convolution(const std::string& name, int stride);
  Upsampling upsampling(const std::string& name, int stride);
  ResidualBlock block(const std::string& name);
  std::vector<EncoderStage> encoder_stages(const std::vector<int>& ratios);
  std::vector<DecoderStage> decoder_stages(const std::vector<int>& ratios);
  std::vector<CodecLayer> transformer(const std::string& name, int n_layers);
  mx::array depthwise_upsampling();
  QuantiserPart quantiser_part(const std::string& name, int first, int n);
  void codebooks(MimiWeights& weights);

 private:
  const TensorInfo& tensor(const std::string& name) const { return checkpoint_.tensor(name); }
  mx::array vector(const std::string& name) { return weights_.vector(tensor(name)); }
  Matrix matrix(const std::vector<std::string>& names, WeightType type);
  // A stored tensor as float32 in the shape given.
  mx::array stored(const std::string& name, mx::Shape shape) {
    return mx::reshape(mx::astype(weights_.stored(tensor(name)), mx::float32, s_), std::move(shape), s_);
  }

  WeightLoader& weights_;
  mx::Stream s_;
  const Checkpoint& checkpoint_;
  WeightType type_;
};

Matrix Loader::matrix(const std::vector<std::string>& names, WeightType type) {
  std::vector<const TensorInfo*> sources;
  for (const std::string& name : names) sources.push_back(&tensor(name));
  return weights_.matrix(sources, {type, PackedWeights::kUnpack});
}

Convolution Loader::convolution(const std::string& name, int stride) {
  const TensorInfo& source = tensor(name + ".weight");  // [out, in, kernel]
  const auto rows = [&] {
    const mx::array raw = weights_.stored(source);
    return mx::reshape(mx::transpose(raw, {0, 2, 1}, s_), {raw.shape(0), raw.shape(2) * raw.shape(1)}, s_);
  };
  const int kernel = static_cast<int>(source.shape[2]);
  return {weights_.matrix(source.name, rows, type_, source.type), std::nullopt, kernel, stride};
}

Convolution Loader::biased_convolution(const std::string& name, int stride) {
  Convolution result = convolution(name, stride);
  result.bias = vector(name + ".bias");
  return result;
}

Upsampling Loader::upsampling(const std::string& name, int stride) {
  const TensorInfo& source = tensor(name + ".weight");  // [in, out, 2 * stride]
  const int in = static_cast<int>(source.shape[0]);
  const int out = static_cast<int>(source.shape[1]);
  // Offset s of an output step hears the current input at kernel s and the previous one at kernel stride + s.
  const auto rows = [&] {
    mx::array taps = mx::reshape(weights_.stored(source), {in, out, 2, stride}, s_);  // current then previous, s
    taps = mx::transpose(mx::take(taps, mx::array({1, 0}), 2, s_), {3, 1, 2, 0}, s_);  // [s, out, previous then current, in]
    return mx::reshape(taps, {stride * out, 2 * in}, s_);
  };
  return {weights_.matrix(source.name, rows, type_, source.type), vector(name + ".bias"), out, stride};
}

ResidualBlock Loader::block(const std::string& name) {
  return {biased_convolution(name + ".block.1.conv", 1), biased_convolution(name + ".block.3.conv", 1)};
}

std::vector<EncoderStage> Loader::encoder_stages(const std::vector<int>& ratios) {
  std::vector<EncoderStage> stages;
  for (size_t j = 0; j < ratios.size(); ++j) {
    const std::string down = fmt::format("encoder.layers.{}.conv", 3 * j + 3);
    stages.push_back(
        {block(fmt::format("encoder.layers.{}", 3 * j + 1)), biased_convolution(down, ratios[ratios.size() - 1 - j])});
  }
  return stages;
}

std::vector<DecoderStage> Loader::decoder_stages(const std::vector<int>& ratios) {
  std::vector<DecoderStage> stages;
  for (size_t j = 0; j < ratios.size(); ++j) {
    Upsampling up = upsampling(fmt::format("decoder.layers.{}.conv", 3 * j + 2), ratios[j]);
    stages.push_back({std::move(up), block(fmt::format("decoder.layers.{}", 3 * j + 3))});
  }
  return stages;
}

std::vector<CodecLayer> Loader::transformer(const std::string& name, int n_layers) {
  std::vector<CodecLayer> layers;
  for (int i = 0; i < n_layers; ++i) {
    const std::string prefix = fmt::format("{}.layers.{}.", name, i);
    const std::string attention = prefix + "self_attn.";
    layers.push_back(
        {vector(prefix + "input_layernorm.weight"), vector(prefix + "input_layernorm.bias"),
         matrix({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"}, type_),
         matrix({attention + "o_proj.weight"}, type_), vector(prefix + "self_attn_layer_scale.scale"),
         vector(prefix + "post_attention_layernorm.weight"), vector(prefix + "post_attention_layernorm.bias"),
         matrix({prefix + "mlp.fc1.weight"}, type_), matrix({prefix + "mlp.fc2.weight"}, type_),
         vector(prefix + "mlp_layer_scale.scale")});
  }
  return layers;
}

mx::array Loader::depthwise_upsampling() {
  const TensorInfo& source = tensor("upsample.conv.weight");  // [width, 1, kernel]
  return weights_.values(source.name, [&] {
    const auto width = static_cast<int>(source.shape[0]);
    return mx::transpose(stored(source.name, {width, static_cast<int>(source.shape[2])}), s_);
  });
}

// Never below f32: the codec's codes hang on them.
QuantiserPart Loader::quantiser_part(const std::string& name, int first, int n) {
  const std::string prefix = fmt::format("quantizer.{}_residual_vector_quantizer.", name);
  return {matrix({prefix + "input_proj.weight"}, WeightType::kF32),
          matrix({prefix + "output_proj.weight"}, WeightType::kF32), first, n};
}

// The entries of each codebook, derived in float32 as in the reference.
void Loader::codebooks(MimiWeights& weights) {
  const CodecSpec& spec = weights.spec;
  for (int i = 0; i < spec.n_codebooks; ++i) {
    const bool is_semantic = i < spec.n_semantic_codebooks;
    const std::string prefix =
        fmt::format("quantizer.{}_residual_vector_quantizer.layers.{}.codebook.", is_semantic ? "semantic" : "acoustic",
                    is_semantic ? i : i - spec.n_semantic_codebooks);
    const mx::array entries = weights_.values(prefix + "entries", [&] {
      const mx::array sums = stored(prefix + "embed_sum", {spec.codebook_size, spec.codebook_dim});
      const mx::array usage = stored(prefix + "cluster_usage", {spec.codebook_size, 1});
      return mx::divide(sums, mx::maximum(usage, mx::array(kMinUsage), s_), s_);
    });
    weights.codebooks.push_back(entries);
    weights.scores.push_back(weights_.matrix(prefix + "scores", [&] { return entries; }, WeightType::kF32, DType::kF32));
    std::vector<float> values(entries.size());
    read(entries, values);
    std::vector<float> half_norms;
    for (auto row = values.begin(); row != values.end(); row += spec.codebook_dim) {
      double sum = 0;
      std::for_each(row, row + spec.codebook_dim, [&](double value) { sum += value * value; });
      half_norms.push_back(static_cast<float>(sum / 2));
    }
    weights.half_norms.push_back(to_array(half_norms, {spec.codebook_size}));
  }
}

}  // namespace

std::shared_ptr<const MimiWeights> load_mimi_weights(WeightLoader& loaded, const Checkpoint& checkpoint,
                                                     WeightType type) {
  if (type != WeightType::kF32 && type != WeightType::kF16) {
    fail(ErrorCode::kInvalidArgument, "the codec's weights can be f32 or f16 only");
  }
  const CodecSpec& spec = checkpoint.spec().codec;
  Loader loader(loaded, checkpoint, type);
  const auto biased = [&](const std::string& name) { return loader.biased_convolution(name, 1); };
  const size_t last = 3 * spec.upsampling_ratios.size() + 2;
  auto weights = std::make_shared<MimiWeights>(MimiWeights{
      spec,
      loaded.values("wavelengths", [&] { return rope_wavelengths(spec.transformer.rope, spec.transformer.head_dim); }),
      biased("encoder.layers.0.conv"),
      loader.encoder_stages(spec.upsampling_ratios),
      biased(fmt::format("encoder.layers.{}.conv", last)),
      loader.transformer("encoder_transformer", spec.transformer.n_layers),
      loader.convolution("downsample.conv", kLatentStride),
      loader.depthwise_upsampling(),
      loader.transformer("decoder_transformer", spec.transformer.n_layers),
      biased("decoder.layers.0.conv"),
      loader.decoder_stages(spec.upsampling_ratios),
      biased(fmt::format("decoder.layers.{}.conv", last)),
      loader.quantiser_part("semantic", 0, spec.n_semantic_codebooks),
      loader.quantiser_part("acoustic", spec.n_semantic_codebooks, spec.n_codebooks - spec.n_semantic_codebooks),
      {},
      {},
      {},
      0});
  loader.codebooks(*weights);
  weights->n_bytes = loaded.n_bytes();
  return weights;
}

}  // namespace csm::mlx_backend
