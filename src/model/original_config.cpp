#include "model/original_config.h"

#include <string>

#include "base/fail.h"
#include "model/config_fields.h"

namespace csm {
namespace {

using nlohmann::json;

// SesameAILabs/csm models.py names its two stacks by flavour; a flavour is all that the file says about a shape.
struct Flavour {
  const char* name;
  int layers;
  int width;
  int heads;
  int kv_heads;
  int ffn_width;
};
constexpr Flavour kFlavours[] = {
    {"llama-1B", 16, 2048, 32, 8, 8192},
    {"llama-100M", 4, 1024, 8, 2, 8192},
};
constexpr int kFlavourPositions = 2048;

// Common to all flavours.
constexpr const char* kFlavourRest = R"({
  "rms_norm_eps": 1e-5,
  "hidden_act": "silu",
  "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000, "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
                      "original_max_position_embeddings": 8192}
})";

// The codec those checkpoints are used with: kyutai's tokenizer-e351c8d8-checkpoint125, all 32 codebooks.
constexpr const char* kMimi = R"({
  "model_type": "mimi", "sampling_rate": 24000, "num_hidden_layers": 8, "hidden_size": 512, "num_attention_heads": 8,
  "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2048, "norm_eps": 1e-5, "sliding_window": 250,
  "rope_parameters": {"rope_type": "default", "rope_theta": 10000},
  "num_filters": 64, "kernel_size": 7, "last_kernel_size": 3, "residual_kernel_size": 3, "compress": 2,
  "upsampling_ratios": [8, 6, 5, 4], "upsample_groups": 512,
  "num_quantizers": 32, "num_semantic_quantizers": 1, "codebook_size": 2048, "codebook_dim": 256,
  "vector_quantization_hidden_dimension": 256
})";

const Flavour& find_flavour(const JsonObject& config, const char* key) {
  const std::string name = config.text(key);
  std::string known;
  for (const Flavour& flavour : kFlavours) {
    if (name == flavour.name) return flavour;
    known += (known.empty() ? "" : ", ") + std::string(flavour.name);
  }
  fail(ErrorCode::kUnsupported,
       "'{}': field '{}' is {}; known flavours are {} (other shapes need the fields of the Transformers "
       "configuration beside it)",
       config.where(), config.path_of(key), brief(name), known);
}

json stack_of(const Flavour& flavour, int audio_vocab, int n_codebooks) {
  json stack = parse_json(kFlavourRest, flavour.name);
  stack["num_hidden_layers"] = flavour.layers;
  stack["hidden_size"] = flavour.width;
  stack["num_attention_heads"] = flavour.heads;
  stack["num_key_value_heads"] = flavour.kv_heads;
  stack["intermediate_size"] = flavour.ffn_width;
  stack["max_position_embeddings"] = kFlavourPositions;
  stack["vocab_size"] = audio_vocab;
  stack["num_codebooks"] = n_codebooks;
  return stack;
}

}  // namespace

json expand_original_config(const JsonObject& config) {
  const int audio_vocab = config.integer("audio_vocab_size", 2, kMaxVocabulary);
  const int n_codebooks = config.integer("audio_num_codebooks", 2, kMaxCodebooks);
  const Flavour& backbone = find_flavour(config, "backbone_flavor");
  json expanded = stack_of(backbone, audio_vocab, n_codebooks);
  expanded["model_type"] = "csm";
  expanded["text_vocab_size"] = config.integer("text_vocab_size", 1, kMaxVocabulary);
  expanded["depth_decoder_config"] = stack_of(find_flavour(config, "decoder_flavor"), audio_vocab, n_codebooks);
  expanded["depth_decoder_config"]["backbone_hidden_size"] = backbone.width;
  expanded["codec_config"] = parse_json(kMimi, "Mimi");
  return expanded;
}

}  // namespace csm
