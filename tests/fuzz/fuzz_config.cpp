// Any bytes given as config.json end in a specification that is safe to compute with or in csm::Error; the same for
// generation_config.json.
#include <csm/error.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "io/json.h"
#include "model/manifest.h"
#include "model/spec.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_stack(const csm::TransformerSpec& stack) {
  check(stack.n_layers > 0 && stack.width > 0 && stack.ffn_width > 0 && stack.norm_eps > 0);
  check(stack.n_kv_heads > 0 && stack.n_heads % stack.n_kv_heads == 0 && stack.head_dim > 0 && stack.head_dim % 2 == 0);
  for (const double frequency : csm::rope_frequencies(stack.rope, stack.head_dim)) check(std::isfinite(frequency));
}

void check_spec(const csm::ModelSpec& spec) {
  if (spec.has_language_model) {
    check_stack(spec.backbone);
    check_stack(spec.depth);
    check(spec.n_codebooks >= 2 && spec.n_codebooks <= spec.codec.n_codebooks && spec.audio_vocab > 1 &&
          spec.text_vocab > 0);
    check(spec.text_bos_id < spec.text_vocab && spec.max_positions > 0);
  }
  check_stack(spec.codec.transformer);
  check(spec.codec.frame_samples() > 0 && spec.codec.frame_rate_hz() > 0 && spec.codec.window > 0);
  for (const csm::ManifestEntry& entry : csm::manifest(spec)) {
    int64_t n_bytes = 8;
    for (const int64_t extent : entry.shape) check(extent > 0 && !__builtin_mul_overflow(n_bytes, extent, &n_bytes));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), n_bytes);
  csm::ModelSpec spec;
  try {
    spec = csm::parse_model_spec(csm::parse_json(text, "input"), "input");
    check_spec(spec);
  } catch (const csm::Error& error) {
    check(std::strchr(error.what(), '\n') == nullptr);
  }
  try {
    csm::apply_generation_config(spec, csm::parse_json(text, "input"), "input");
    spec.backbone_sampling.validate("backbone");
    spec.depth_sampling.validate("depth decoder");
  } catch (const csm::Error& error) {
    check(std::strchr(error.what(), '\n') == nullptr);
  }
  return 0;
}
