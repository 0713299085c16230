// Tensor names of all layouts -> canonical names.
//
// Place in the flow: weight files -> (here) -> checkpoint. Covered: Transformers (CsmForConditionalGeneration,
// MimiModel), the original Sesame names, the original Mimi (kyutai moshi) names, and our GGUF names. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace csm {

enum class NameFamily { kTransformers, kOriginalLanguageModel, kOriginalCodec };

struct CanonicalName {
  std::string name;
  NameFamily family = NameFamily::kTransformers;
  bool is_stacked_qkv = false;  // name then ends in "self_attn.": q, k and v rows lie one after the other
  bool is_ignored = false;      // a buffer that some files carry and nobody needs
};

// A name that no rule knows comes back as it is, without the prefix "codec_model.".
CanonicalName canonical_name(std::string_view source);

// The name of a canonical tensor in our GGUF files; canonical_name() takes it back.
std::string gguf_name(const std::string& canonical);

// Whether a file with this tensor holds (part of) a language model, or of a codec. Names of neither: both false.
bool is_language_model_name(const std::string& canonical);
bool is_codec_name(const std::string& canonical);

}  // namespace csm
