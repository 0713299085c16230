#include "model/spec.h"

#include <cmath>

#include "base/fail.h"
#include "model/config_fields.h"
#include "model/original_config.h"

namespace csm {
namespace {

using nlohmann::json;

constexpr double kPi = 3.14159265358979323846;
constexpr int kMaxNewFrames = 1 << 24;

// A fact that the file states twice must be the same both times.
void require_same(const JsonObject& config, const char* key, int value, const char* other, int expected) {
  if (value == expected) return;
  fail(ErrorCode::kInvalidData, "'{}': field '{}' is {}; expected {} as in '{}'", config.where(), config.path_of(key),
       value, expected, other);
}

void read_depth(const JsonObject& config, ModelSpec& spec) {
  spec.depth = read_transformer(config, "rms_norm_eps");
  require_text(config, "hidden_act", "silu");
  require_same(config, "num_codebooks", config.integer("num_codebooks", 2, kMaxCodebooks), "num_codebooks",
               spec.n_codebooks);
  require_same(config, "vocab_size", config.integer("vocab_size", 2, kMaxVocabulary), "vocab_size", spec.audio_vocab);
  require_same(config, "backbone_hidden_size", config.integer("backbone_hidden_size", 1, kMaxWidth), "hidden_size",
               spec.backbone.width);
  if (config.has("max_position_embeddings")) {  // one position for each code and none for the last
    (void)config.integer("max_position_embeddings", spec.n_codebooks, kMaxPositions);
  }
}

ModelSpec read_csm(const JsonObject& config) {
  ModelSpec spec;
  spec.has_language_model = true;
  spec.backbone = read_transformer(config, "rms_norm_eps");
  require_text(config, "hidden_act", "silu");
  spec.n_codebooks = config.integer("num_codebooks", 2, kMaxCodebooks);
  spec.audio_vocab = config.integer("vocab_size", 2, kMaxVocabulary);
  spec.text_vocab = config.integer("text_vocab_size", 1, kMaxVocabulary);
  spec.max_positions = config.integer("max_position_embeddings", 2, kMaxPositions);
  spec.tied_audio_embeddings = config.boolean_or("tie_codebooks_embeddings", true);
  // eos_token_id is not read: in this model it would end the audio; the end of the text is the tokenizer's.
  spec.text_bos_id = config.integer_or("bos_token_id", 0, spec.text_vocab - 1, -1);
  require_integer(config, "codebook_eos_token_id", 0);
  read_depth(config.object("depth_decoder_config"), spec);
  const JsonObject codec = config.object("codec_config");
  spec.codec = read_codec(codec);
  if (spec.codec.n_codebooks < spec.n_codebooks) {
    fail(ErrorCode::kInvalidData,
         "'{}': field '{}' is {}; expected at least num_codebooks ({}), which the language model speaks", codec.where(),
         codec.path_of("num_quantizers"), spec.codec.n_codebooks, spec.n_codebooks);
  }
  return spec;
}

// One part's fields of generation_config.json: prefix is "" or "depth_decoder_". True when at least one was given.
bool read_sampling(const JsonObject& config, const std::string& prefix, SamplingOptions& options) {
  const auto key = [&](const char* name) { return prefix + name; };
  bool given = false;
  const auto read = [&](const char* name, double min, double max, float& field) {
    const std::string full = key(name);
    if (!config.has(full.c_str())) return;
    field = static_cast<float>(config.number(full.c_str(), min, max));
    given = true;
  };
  read("temperature", 0, 100, options.temperature);
  read("top_p", 1e-6, 1, options.top_p);
  read("min_p", 0, 1 - 1e-6, options.min_p);
  read("repetition_penalty", 1e-3, 1e3, options.repetition_penalty);
  const std::string top_k = key("top_k");
  if (config.has(top_k.c_str())) {
    options.top_k = config.integer(top_k.c_str(), 0, kMaxVocabulary);
    given = true;
  }
  const std::string do_sample = key("do_sample");
  if (config.has(do_sample.c_str())) {
    if (!config.boolean_or(do_sample.c_str(), true)) options.temperature = 0;
    given = true;
  }
  return given;
}

}  // namespace

std::vector<double> rope_frequencies(const RopeSpec& rope, int head_dim) {
  std::vector<double> frequencies(static_cast<size_t>(head_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double plain = std::pow(rope.theta, -2.0 * static_cast<double>(i) / head_dim);
    frequencies[i] = plain;
    if (!rope.llama3) continue;
    // How many whole turns the pair makes in the original window decides whether it is stretched.
    const double turns = rope.original_max_positions * plain / (2 * kPi);
    if (turns > rope.high_freq_factor) continue;
    const double stretched = plain / rope.factor;
    const double blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
    frequencies[i] = turns < rope.low_freq_factor ? stretched : (1 - blend) * stretched + blend * plain;
  }
  return frequencies;
}

ModelSpec parse_model_spec(const json& config, const std::string& where) {
  const JsonObject root(config, where);
  if (!root.has("model_type") && root.has("backbone_flavor")) {
    const json expanded = expand_original_config(root);
    return read_csm(JsonObject(expanded, where));
  }
  const std::string type = root.text("model_type");
  if (type == "csm") return read_csm(root);
  if (type != "mimi") {
    fail(ErrorCode::kUnsupported, "'{}': field 'model_type' is {}; expected \"csm\" or \"mimi\": this is another model",
         where, brief(type));
  }
  ModelSpec spec;
  spec.codec = read_codec(root);
  return spec;
}

void apply_generation_config(ModelSpec& spec, const json& config, const std::string& where) {
  const JsonObject root(config, where);
  (void)read_sampling(root, "", spec.backbone_sampling);
  SamplingOptions depth = spec.depth_sampling;
  // A file that says nothing about the depth decoder means one setting for all codebooks.
  spec.depth_sampling = read_sampling(root, "depth_decoder_", depth) ? depth : spec.backbone_sampling;
  spec.max_new_frames = root.integer_or("max_new_tokens", 1, kMaxNewFrames, spec.max_new_frames);
}

}  // namespace csm
