#include "model/manifest.h"

#include <fmt/format.h>

#include "model/checkpoint.h"

namespace csm {
namespace {

using Shape = std::vector<int64_t>;

class Builder {
 public:
  explicit Builder(std::vector<ManifestEntry>& entries) : entries_(entries) {}

  void part(ModelPart part) { part_ = part; }

  void add(std::string name, TensorUse use, Shape shape) {
    const bool language_model = part_ == ModelPart::kBackbone || part_ == ModelPart::kDepth;
    entries_.push_back({std::move(name), std::move(shape), part_, use, language_model && use == TensorUse::kMatrix});
  }

 private:
  std::vector<ManifestEntry>& entries_;
  ModelPart part_ = ModelPart::kText;
};

void add_llama(Builder& out, const std::string& prefix, const TransformerSpec& s) {
  const int64_t q = int64_t{s.n_heads} * s.head_dim;
  const int64_t kv = int64_t{s.n_kv_heads} * s.head_dim;
  for (int i = 0; i < s.n_layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    out.add(layer + "input_layernorm.weight", TensorUse::kVector, {s.width});
    out.add(layer + "self_attn.q_proj.weight", TensorUse::kMatrix, {q, s.width});
    out.add(layer + "self_attn.k_proj.weight", TensorUse::kMatrix, {kv, s.width});
    out.add(layer + "self_attn.v_proj.weight", TensorUse::kMatrix, {kv, s.width});
    out.add(layer + "self_attn.o_proj.weight", TensorUse::kMatrix, {s.width, q});
    out.add(layer + "post_attention_layernorm.weight", TensorUse::kVector, {s.width});
    out.add(layer + "mlp.gate_proj.weight", TensorUse::kMatrix, {s.ffn_width, s.width});
    out.add(layer + "mlp.up_proj.weight", TensorUse::kMatrix, {s.ffn_width, s.width});
    out.add(layer + "mlp.down_proj.weight", TensorUse::kMatrix, {s.width, s.ffn_width});
  }
  out.add(prefix + "norm.weight", TensorUse::kVector, {s.width});
}

void add_language_model(Builder& out, const ModelSpec& spec) {
  const int64_t audio_rows = int64_t{spec.n_codebooks} * spec.audio_vocab;
  out.part(ModelPart::kText);
  out.add("embed_text_tokens.weight", TensorUse::kTable, {spec.text_vocab, spec.backbone.width});
  out.part(ModelPart::kAudio);
  out.add(kBackboneAudioTable, TensorUse::kTable, {audio_rows, spec.backbone.width});
  if (!spec.tied_audio_embeddings) out.add(kDepthAudioTable, TensorUse::kTable, {audio_rows, spec.backbone.width});
  out.part(ModelPart::kBackbone);
  add_llama(out, "backbone_model.", spec.backbone);
  out.add("lm_head.weight", TensorUse::kMatrix, {spec.audio_vocab, spec.backbone.width});
  out.part(ModelPart::kDepth);
  out.add("depth_decoder.model.inputs_embeds_projector.weight", TensorUse::kMatrix,
          {spec.depth.width, spec.backbone.width});
  add_llama(out, "depth_decoder.model.", spec.depth);
  out.add("depth_decoder.codebooks_head.weight", TensorUse::kMatrix,
          {spec.n_codebooks - 1, spec.depth.width, spec.audio_vocab});
}

void add_convolution(Builder& out, const std::string& name, Shape shape, int64_t n_out) {
  out.add(name + ".conv.weight", TensorUse::kConvolution, std::move(shape));
  out.add(name + ".conv.bias", TensorUse::kVector, {n_out});
}

void add_residual_block(Builder& out, const std::string& name, int64_t channels, const CodecSpec& codec) {
  const int64_t hidden = channels / codec.compress;
  add_convolution(out, name + ".block.1", {hidden, channels, codec.residual_kernel_size}, hidden);
  add_convolution(out, name + ".block.3", {channels, hidden, 1}, channels);
}

// Module numbers count the activations between the convolutions.
void add_encoder(Builder& out, const CodecSpec& codec) {
  const auto layer = [](size_t i) { return fmt::format("encoder.layers.{}", i); };
  const size_t n_ratios = codec.upsampling_ratios.size();
  int64_t channels = codec.n_filters;
  add_convolution(out, layer(0), {channels, 1, codec.kernel_size}, channels);
  for (size_t j = 0; j < n_ratios; ++j) {
    const int64_t ratio = codec.upsampling_ratios[n_ratios - 1 - j];
    add_residual_block(out, layer(3 * j + 1), channels, codec);
    add_convolution(out, layer(3 * j + 3), {2 * channels, channels, 2 * ratio}, 2 * channels);
    channels *= 2;
  }
  const int64_t width = codec.transformer.width;
  add_convolution(out, layer(3 * n_ratios + 2), {width, channels, codec.last_kernel_size}, width);
}

void add_decoder(Builder& out, const CodecSpec& codec) {
  const auto layer = [](size_t i) { return fmt::format("decoder.layers.{}", i); };
  const size_t n_ratios = codec.upsampling_ratios.size();
  int64_t channels = int64_t{codec.n_filters} << n_ratios;
  add_convolution(out, layer(0), {channels, codec.transformer.width, codec.kernel_size}, channels);
  for (size_t j = 0; j < n_ratios; ++j) {
    const int64_t half = channels / 2;
    add_convolution(out, layer(3 * j + 2), {channels, half, 2 * int64_t{codec.upsampling_ratios[j]}}, half);
    add_residual_block(out, layer(3 * j + 3), half, codec);
    channels = half;
  }
  add_convolution(out, layer(3 * n_ratios + 2), {1, channels, codec.last_kernel_size}, 1);
}

void add_codec_transformer(Builder& out, const std::string& prefix, const TransformerSpec& s) {
  const int64_t q = int64_t{s.n_heads} * s.head_dim;
  const int64_t kv = int64_t{s.n_kv_heads} * s.head_dim;
  for (int i = 0; i < s.n_layers; ++i) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    out.add(layer + "input_layernorm.weight", TensorUse::kVector, {s.width});
    out.add(layer + "input_layernorm.bias", TensorUse::kVector, {s.width});
    out.add(layer + "self_attn.q_proj.weight", TensorUse::kMatrix, {q, s.width});
    out.add(layer + "self_attn.k_proj.weight", TensorUse::kMatrix, {kv, s.width});
    out.add(layer + "self_attn.v_proj.weight", TensorUse::kMatrix, {kv, s.width});
    out.add(layer + "self_attn.o_proj.weight", TensorUse::kMatrix, {s.width, q});
    out.add(layer + "self_attn_layer_scale.scale", TensorUse::kVector, {s.width});
    out.add(layer + "post_attention_layernorm.weight", TensorUse::kVector, {s.width});
    out.add(layer + "post_attention_layernorm.bias", TensorUse::kVector, {s.width});
    out.add(layer + "mlp.fc1.weight", TensorUse::kMatrix, {s.ffn_width, s.width});
    out.add(layer + "mlp.fc2.weight", TensorUse::kMatrix, {s.width, s.ffn_width});
    out.add(layer + "mlp_layer_scale.scale", TensorUse::kVector, {s.width});
  }
}

void add_quantizer(Builder& out, const std::string& prefix, int n_levels, const CodecSpec& codec) {
  out.add(prefix + "input_proj.weight", TensorUse::kConvolution, {codec.codebook_dim, codec.transformer.width, 1});
  for (int i = 0; i < n_levels; ++i) {
    const std::string codebook = fmt::format("{}layers.{}.codebook.", prefix, i);
    out.add(codebook + "embed_sum", TensorUse::kCodebook, {codec.codebook_size, codec.codebook_dim});
    out.add(codebook + "cluster_usage", TensorUse::kCodebook, {codec.codebook_size});
  }
  out.add(prefix + "output_proj.weight", TensorUse::kConvolution, {codec.transformer.width, codec.codebook_dim, 1});
}

void add_codec(Builder& out, const CodecSpec& codec) {
  const int64_t width = codec.transformer.width;
  out.part(ModelPart::kCodec);
  add_encoder(out, codec);
  add_codec_transformer(out, "encoder_transformer.", codec.transformer);
  out.add("downsample.conv.weight", TensorUse::kConvolution, {width, width, 4});
  add_quantizer(out, "quantizer.semantic_residual_vector_quantizer.", codec.n_semantic_codebooks, codec);
  add_quantizer(out, "quantizer.acoustic_residual_vector_quantizer.", codec.n_codebooks - codec.n_semantic_codebooks,
                codec);
  out.add("upsample.conv.weight", TensorUse::kConvolution, {width, 1, 4});  // one filter for each channel
  add_codec_transformer(out, "decoder_transformer.", codec.transformer);
  add_decoder(out, codec);
}

}  // namespace

std::vector<ManifestEntry> manifest(const ModelSpec& spec) {
  std::vector<ManifestEntry> entries;
  Builder out(entries);
  if (spec.has_language_model) add_language_model(out, spec);
  add_codec(out, spec.codec);
  return entries;
}

const char* to_string(ModelPart part) {
  switch (part) {
    case ModelPart::kText:
      return "text table";
    case ModelPart::kAudio:
      return "audio table";
    case ModelPart::kBackbone:
      return "backbone";
    case ModelPart::kDepth:
      return "depth decoder";
    case ModelPart::kCodec:
      return "codec";
  }
  return "";
}

}  // namespace csm
