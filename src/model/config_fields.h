// Fields of config.json that the language model and the codec share, read and checked.
//
// Place in the flow: used by spec.cpp and codec_spec.cpp only. The limits are far above any known model and low enough
// that a damaged file cannot ask for absurd memory and that products of two of them fit 32 bits. Stateless; any thread.
#pragma once

#include <string>

#include "io/json.h"
#include "model/spec.h"

namespace csm {

inline constexpr int kMaxLayers = 512;
inline constexpr int kMaxWidth = 1 << 15;
inline constexpr int kMaxHeads = 512;
inline constexpr int kMaxHeadDim = 1 << 11;
inline constexpr int kMaxFfnWidth = 1 << 18;
inline constexpr int kMaxCodebooks = 256;
inline constexpr int kMaxVocabulary = 1 << 22;
inline constexpr int kMaxPositions = 1 << 24;

// Fields that may be absent but must have one value, since nothing else is implemented. Errors: kUnsupported,
// kInvalidData.
void require_text(const JsonObject& config, const char* key, const std::string& only);
void require_flag(const JsonObject& config, const char* key, bool only);
void require_integer(const JsonObject& config, const char* key, int only);

// "rope_parameters" (transformers 5), or "rope_theta" with "rope_scaling" (2025).
RopeSpec read_rope(const JsonObject& config);

// Layers, widths, heads, normalisation and RoPE of one stack; eps_key is "rms_norm_eps" or "norm_eps".
TransformerSpec read_transformer(const JsonObject& config, const char* eps_key);

// Mimi: a codec's config.json, or "codec_config".
CodecSpec read_codec(const JsonObject& config);

}  // namespace csm
