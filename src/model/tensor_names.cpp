#include "model/tensor_names.h"

#include <span>

#include "model/checkpoint.h"

namespace csm {
namespace {

struct Rename {
  std::string_view from;
  std::string_view to;
};

constexpr Rename kWholeLanguageModel[] = {
    {"text_embeddings.weight", "embed_text_tokens.weight"},
    {"audio_embeddings.weight", kBackboneAudioTable},
    {"projection.weight", "depth_decoder.model.inputs_embeds_projector.weight"},
    {"codebook0_head.weight", "lm_head.weight"},
    {"audio_head", "depth_decoder.codebooks_head.weight"},
    {"backbone.norm.scale", "backbone_model.norm.weight"},
    {"decoder.norm.scale", "depth_decoder.model.norm.weight"},
};

constexpr Rename kWholeCodec[] = {
    {"downsample.conv.conv.conv.weight", "downsample.conv.weight"},
    {"upsample.convtr.convtr.convtr.weight", "upsample.conv.weight"},
    {"quantizer.rvq_first.input_proj.weight", "quantizer.semantic_residual_vector_quantizer.input_proj.weight"},
    {"quantizer.rvq_first.output_proj.weight", "quantizer.semantic_residual_vector_quantizer.output_proj.weight"},
    {"quantizer.rvq_rest.input_proj.weight", "quantizer.acoustic_residual_vector_quantizer.input_proj.weight"},
    {"quantizer.rvq_rest.output_proj.weight", "quantizer.acoustic_residual_vector_quantizer.output_proj.weight"},
};

constexpr Rename kLlamaLayer[] = {
    {"sa_norm.scale", "input_layernorm.weight"},
    {"attn.q_proj.weight", "self_attn.q_proj.weight"},
    {"attn.k_proj.weight", "self_attn.k_proj.weight"},
    {"attn.v_proj.weight", "self_attn.v_proj.weight"},
    {"attn.output_proj.weight", "self_attn.o_proj.weight"},
    {"mlp_norm.scale", "post_attention_layernorm.weight"},
    {"mlp.w1.weight", "mlp.gate_proj.weight"},
    {"mlp.w2.weight", "mlp.down_proj.weight"},
    {"mlp.w3.weight", "mlp.up_proj.weight"},
};

// csm-mlx and mlx-audio: Transformers' names within a layer, the original's row order and whole names, now and then below "model.".
constexpr std::string_view kMlxPrefix = "model.";
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kMlxSides[] = {".scales", ".biases"};  // of a quantised weight
constexpr Rename kWholeMlx[] = {
    {"backbone.norm.weight", "backbone_model.norm.weight"},
    {"decoder.norm.weight", "depth_decoder.model.norm.weight"},
    {"decoder.audio_embeddings.weight", kDepthAudioTable},  // ours, for the untied tables that theirs cannot express
};
constexpr Rename kMlxLayer[] = {
    {"input_layernorm.weight", "input_layernorm.weight"},
    {"self_attn.q_proj.weight", "self_attn.q_proj.weight"},
    {"self_attn.k_proj.weight", "self_attn.k_proj.weight"},
    {"self_attn.v_proj.weight", "self_attn.v_proj.weight"},
    {"self_attn.o_proj.weight", "self_attn.o_proj.weight"},
    {"post_attention_layernorm.weight", "post_attention_layernorm.weight"},
    {"mlp.gate_proj.weight", "mlp.gate_proj.weight"},
    {"mlp.down_proj.weight", "mlp.down_proj.weight"},
    {"mlp.up_proj.weight", "mlp.up_proj.weight"},
};

constexpr std::string_view kStackedQkv = "self_attn.in_proj_weight";
constexpr Rename kMimiLayer[] = {
    {kStackedQkv, "self_attn."},
    {"self_attn.out_proj.weight", "self_attn.o_proj.weight"},
    {"norm1.weight", "input_layernorm.weight"},
    {"norm1.bias", "input_layernorm.bias"},
    {"norm2.weight", "post_attention_layernorm.weight"},
    {"norm2.bias", "post_attention_layernorm.bias"},
    {"linear1.weight", "mlp.fc1.weight"},
    {"linear2.weight", "mlp.fc2.weight"},
    {"layer_scale_1.scale", "self_attn_layer_scale.scale"},
    {"layer_scale_2.scale", "mlp_layer_scale.scale"},
};

constexpr Rename kSeanetModule[] = {
    {"conv.conv.weight", "conv.weight"},
    {"conv.conv.bias", "conv.bias"},
    {"convtr.convtr.weight", "conv.weight"},
    {"convtr.convtr.bias", "conv.bias"},
    {"block.1.conv.conv.weight", "block.1.conv.weight"},
    {"block.1.conv.conv.bias", "block.1.conv.bias"},
    {"block.3.conv.conv.weight", "block.3.conv.weight"},
    {"block.3.conv.conv.bias", "block.3.conv.bias"},
};

constexpr Rename kCodebook[] = {
    {"_codebook.embedding_sum", "codebook.embed_sum"},
    {"_codebook.cluster_usage", "codebook.cluster_usage"},
    {"_codebook._initialized", "codebook.initialized"},
};

// from + number + "." + a suffix of the table.
struct NumberedRule {
  std::string_view from;
  std::string_view to;
  std::span<const Rename> suffixes;
  NameFamily family;
};

const NumberedRule kNumbered[] = {
    {"backbone.layers.", "backbone_model.layers.", kLlamaLayer, NameFamily::kOriginalLanguageModel},
    {"decoder.layers.", "depth_decoder.model.layers.", kLlamaLayer, NameFamily::kOriginalLanguageModel},
    {"backbone.layers.", "backbone_model.layers.", kMlxLayer, NameFamily::kOriginalLanguageModel},
    {"decoder.layers.", "depth_decoder.model.layers.", kMlxLayer, NameFamily::kOriginalLanguageModel},
    {"encoder_transformer.transformer.layers.", "encoder_transformer.layers.", kMimiLayer, NameFamily::kOriginalCodec},
    {"decoder_transformer.transformer.layers.", "decoder_transformer.layers.", kMimiLayer, NameFamily::kOriginalCodec},
    {"encoder.model.", "encoder.layers.", kSeanetModule, NameFamily::kOriginalCodec},
    {"decoder.model.", "decoder.layers.", kSeanetModule, NameFamily::kOriginalCodec},
    {"quantizer.rvq_first.vq.layers.", "quantizer.semantic_residual_vector_quantizer.layers.", kCodebook,
     NameFamily::kOriginalCodec},
    {"quantizer.rvq_rest.vq.layers.", "quantizer.acoustic_residual_vector_quantizer.layers.", kCodebook,
     NameFamily::kOriginalCodec},
};

// GGUF names, at most 63 bytes long so that ggml's own tools read the files.
constexpr Rename kGgufPrefixes[] = {
    {"quantizer.semantic_rvq.", "quantizer.semantic_residual_vector_quantizer."},
    {"quantizer.acoustic_rvq.", "quantizer.acoustic_residual_vector_quantizer."},
};

// The masks are buffers of the original's program that its ckpt.pt may have.
constexpr std::string_view kIgnoredEndings[] = {".codebook.initialized", ".rotary_emb.inv_freq", ".audio_tokens_offsets",
                                                "backbone_causal_mask", "decoder_causal_mask"};
constexpr std::string_view kCodecPrefix = "codec_model.";
constexpr std::string_view kEarlyTextTable = "backbone_model.embed_tokens.embed_text_tokens.weight";

bool starts_with(std::string_view text, std::string_view head) { return text.substr(0, head.size()) == head; }

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

const Rename* find_rename(std::span<const Rename> table, std::string_view from) {
  for (const Rename& rename : table) {
    if (rename.from == from) return &rename;
  }
  return nullptr;
}

bool apply_numbered(const NumberedRule& rule, std::string_view source, CanonicalName& result) {
  if (!starts_with(source, rule.from)) return false;
  const std::string_view rest = source.substr(rule.from.size());
  const size_t n_digits = rest.find_first_not_of("0123456789");
  if (n_digits == 0 || n_digits == std::string_view::npos || rest[n_digits] != '.') return false;
  const Rename* suffix = find_rename(rule.suffixes, rest.substr(n_digits + 1));
  if (suffix == nullptr) return false;
  result.name = std::string(rule.to) + std::string(rest.substr(0, n_digits + 1)) + std::string(suffix->to);
  result.family = rule.family;
  result.is_stacked_qkv = suffix->from == kStackedQkv;
  return true;
}

bool apply_any_rule(std::string_view source, CanonicalName& result) {
  if (const Rename* rename = find_rename(kWholeLanguageModel, source)) {
    result.name = rename->to;
    result.family = NameFamily::kOriginalLanguageModel;
    return true;
  }
  if (const Rename* rename = find_rename(kWholeMlx, source)) {
    result.name = rename->to;
    result.family = NameFamily::kOriginalLanguageModel;
    return true;
  }
  if (const Rename* rename = find_rename(kWholeCodec, source)) {
    result.name = rename->to;
    result.family = NameFamily::kOriginalCodec;
    return true;
  }
  for (const NumberedRule& rule : kNumbered) {
    if (apply_numbered(rule, source, result)) return true;
  }
  return starts_with(source, kMlxPrefix) && apply_any_rule(source.substr(kMlxPrefix.size()), result);
}

}  // namespace

CanonicalName canonical_name(std::string_view source) {
  for (const std::string_view side : kMlxSides) {  // named after the weight that they belong to
    if (!ends_with(source, side)) continue;
    const std::string weight = std::string(source.substr(0, source.size() - side.size())) + std::string(kWeight);
    CanonicalName result = canonical_name(weight);
    if (result.family != NameFamily::kOriginalLanguageModel) continue;
    result.name.replace(result.name.size() - kWeight.size(), kWeight.size(), side);
    return result;
  }
  CanonicalName result;
  if (source == kEarlyTextTable) {
    result.name = "embed_text_tokens.weight";
  } else if (!apply_any_rule(source, result)) {
    result.name = starts_with(source, kCodecPrefix) ? source.substr(kCodecPrefix.size()) : source;
  }
  for (const Rename& prefix : kGgufPrefixes) {
    if (starts_with(result.name, prefix.from)) result.name.replace(0, prefix.from.size(), prefix.to);
  }
  for (const std::string_view ending : kIgnoredEndings)
    result.is_ignored = result.is_ignored || ends_with(result.name, ending);
  return result;
}

std::string gguf_name(const std::string& canonical) {
  for (const Rename& prefix : kGgufPrefixes) {
    if (starts_with(canonical, prefix.to)) return std::string(prefix.from) + canonical.substr(prefix.to.size());
  }
  return canonical;
}

bool is_language_model_name(const std::string& canonical) {
  for (const char* head : {"backbone_model.", "depth_decoder.", "embed_text_tokens.", "lm_head."}) {
    if (starts_with(canonical, head)) return true;
  }
  return false;
}

bool is_codec_name(const std::string& canonical) {
  for (const char* head : {"encoder.", "decoder.", "encoder_transformer.", "decoder_transformer.", "quantizer.",
                           "downsample.", "upsample."}) {
    if (starts_with(canonical, head)) return true;
  }
  return false;
}

}  // namespace csm
