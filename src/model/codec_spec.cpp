// Mimi's configuration. What its variants could say but no backend here computes is refused by name.
#include <cmath>

#include "base/fail.h"
#include "model/config_fields.h"

namespace csm {
namespace {

constexpr int kMaxKernel = 1 << 10;
constexpr int kMaxRatio = 1 << 10;
constexpr int kMaxRatios = 12;
constexpr int kMaxHopSamples = 1 << 20;
constexpr int kLatentStepsPerFrame = 2;

void require_plain_mimi(const JsonObject& config) {
  require_text(config, "model_type", "mimi");
  require_integer(config, "audio_channels", 1);
  require_integer(config, "num_residual_layers", 1);  // more would be dilated by dilation_growth_rate
  require_text(config, "hidden_act", "gelu");         // the exact one, by erf
  require_text(config, "pad_mode", "constant");
  require_flag(config, "use_causal_conv", true);
  require_flag(config, "use_conv_shortcut", false);
  require_flag(config, "normalize", false);
  if (config.number_or("trim_right_ratio", 0, 1, 1) != 1) {
    fail(ErrorCode::kUnsupported, "'{}': field '{}' is not 1; only causal convolutions are supported", config.where(),
         config.path_of("trim_right_ratio"));
  }
}

void read_seanet(const JsonObject& config, CodecSpec& codec) {
  codec.n_filters = config.integer("num_filters", 1, kMaxWidth);
  codec.kernel_size = config.integer("kernel_size", 1, kMaxKernel);
  codec.last_kernel_size = config.integer("last_kernel_size", 1, kMaxKernel);
  codec.residual_kernel_size = config.integer("residual_kernel_size", 1, kMaxKernel);
  codec.compress = config.integer("compress", 1, codec.n_filters);
  codec.upsampling_ratios = config.integers("upsampling_ratios", 1, kMaxRatio, kMaxRatios);
  int64_t hop = 1;
  int64_t channels = codec.n_filters;
  for (const int ratio : codec.upsampling_ratios) {
    hop *= ratio;
    channels *= 2;
    if (hop > kMaxHopSamples || channels > kMaxWidth) {
      fail(ErrorCode::kInvalidData,
           "'{}': field '{}' is out of range: expected a product of at most {} and at most {} channels "
           "(num_filters, doubled by each ratio)",
           config.where(), config.path_of("upsampling_ratios"), kMaxHopSamples, kMaxWidth);
    }
  }
}

void read_quantizer(const JsonObject& config, CodecSpec& codec) {
  codec.n_codebooks = config.integer("num_quantizers", 2, kMaxCodebooks);
  require_integer(config, "num_semantic_quantizers", 1);
  codec.n_semantic_codebooks = 1;
  codec.codebook_size = config.integer("codebook_size", 2, kMaxVocabulary);
  codec.codebook_dim = config.integer("vector_quantization_hidden_dimension", 1, kMaxWidth);
  const int stored_dim = config.integer_or("codebook_dim", 1, kMaxWidth, codec.transformer.width);
  if (stored_dim != codec.codebook_dim) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' is {}; expected vector_quantization_hidden_dimension ({})",
         config.where(), config.path_of("codebook_dim"), stored_dim, codec.codebook_dim);
  }
  if (codec.codebook_dim == codec.transformer.width) {  // such a model has no projections around its codebooks
    fail(ErrorCode::kUnsupported,
         "'{}': field '{}' equals hidden_size ({}); only quantisers with projections are supported", config.where(),
         config.path_of("vector_quantization_hidden_dimension"), codec.codebook_dim);
  }
}

// The frame rate fixes the last down-sampling. It is 2 for all of Mimi: kernel 4, stride 2.
void check_frame_rate(const JsonObject& config, const CodecSpec& codec) {
  for (const char* key : {"frame_rate", "_frame_rate"}) {
    if (!config.has(key)) continue;
    const double rate = config.number(key, 1e-3, 1e6);
    if (std::fabs(rate - codec.frame_rate_hz()) <= 1e-3 * codec.frame_rate_hz()) continue;
    fail(ErrorCode::kUnsupported,
         "'{}': field '{}' is {}; only sampling_rate / ({} x product of upsampling_ratios) = {} is supported",
         config.where(), config.path_of(key), rate, kLatentStepsPerFrame, codec.frame_rate_hz());
  }
}

}  // namespace

int CodecSpec::hop_samples() const {
  int hop = 1;
  for (const int ratio : upsampling_ratios) hop *= ratio;
  return hop;
}

int CodecSpec::frame_samples() const { return kLatentStepsPerFrame * hop_samples(); }

double CodecSpec::frame_rate_hz() const { return static_cast<double>(sample_rate_hz) / frame_samples(); }

CodecSpec read_codec(const JsonObject& config) {
  require_plain_mimi(config);
  CodecSpec codec;
  codec.sample_rate_hz = config.integer("sampling_rate", 1'000, 768'000);
  codec.transformer = read_transformer(config, "norm_eps");
  if (codec.transformer.n_kv_heads != codec.transformer.n_heads) {
    fail(ErrorCode::kUnsupported, "'{}': field '{}' is {}; only num_attention_heads ({}) is supported in the codec",
         config.where(), config.path_of("num_key_value_heads"), codec.transformer.n_kv_heads,
         codec.transformer.n_heads);
  }
  if (codec.transformer.rope.llama3) {
    fail(ErrorCode::kUnsupported, "'{}': the codec's RoPE is scaled; only plain RoPE is supported in '{}'",
         config.where(), config.path_of("rope_parameters"));
  }
  codec.window = config.integer("sliding_window", 1, 1 << 20);
  read_seanet(config, codec);
  read_quantizer(config, codec);
  require_integer(config, "upsample_groups", codec.transformer.width);
  check_frame_rate(config, codec);
  return codec;
}

}  // namespace csm
