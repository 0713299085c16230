#include "model/config_fields.h"

#include "base/fail.h"

namespace csm {
namespace {

constexpr int kAnyInteger = 1 << 30;
constexpr double kMinTheta = 1.0;  // below, the angles would grow with the pair's index
constexpr double kMaxTheta = 1e12;

void read_llama3_scaling(const JsonObject& scaling, RopeSpec& rope) {
  rope.llama3 = true;
  rope.factor = scaling.number("factor", 1e-3, 1e6);
  rope.low_freq_factor = scaling.number("low_freq_factor", 1e-9, 1e9);
  rope.high_freq_factor = scaling.number("high_freq_factor", 1e-9, 1e9);
  rope.original_max_positions = scaling.number("original_max_position_embeddings", 1, 1e9);
  if (!(rope.high_freq_factor > rope.low_freq_factor)) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' is out of range: expected more than low_freq_factor ({}), found {}",
         scaling.where(), scaling.path_of("high_freq_factor"), rope.low_freq_factor, rope.high_freq_factor);
  }
}

// "rope_type", or "type" as files before 2024 call it.
void read_scaling(const JsonObject& scaling, const char* type_key, RopeSpec& rope) {
  const std::string type = scaling.text(type_key);
  if (scaling.number_or("partial_rotary_factor", 0, 1, 1) != 1) {
    fail(ErrorCode::kUnsupported, "'{}': field '{}' is not 1; only whole heads are rotated here", scaling.where(),
         scaling.path_of("partial_rotary_factor"));
  }
  if (type == "llama3") return read_llama3_scaling(scaling, rope);
  if (type == "default") return;
  fail(ErrorCode::kUnsupported, "'{}': field '{}' is {}; supported RoPE types are \"default\" and \"llama3\"",
       scaling.where(), scaling.path_of(type_key), brief(type));
}

void read_heads(const JsonObject& config, TransformerSpec& stack) {
  stack.n_heads = config.integer("num_attention_heads", 1, kMaxHeads);
  stack.n_kv_heads = config.integer("num_key_value_heads", 1, kMaxHeads);
  if (stack.n_heads % stack.n_kv_heads != 0) {
    fail(ErrorCode::kInvalidData,
         "'{}': field '{}' is out of range: expected a divisor of num_attention_heads ({}), found {}", config.where(),
         config.path_of("num_key_value_heads"), stack.n_heads, stack.n_kv_heads);
  }
  const bool given = config.has("head_dim");
  if (!given && stack.width % stack.n_heads != 0) {
    fail(ErrorCode::kInvalidData,
         "'{}': field '{}' is missing, and hidden_size {} is no multiple of num_attention_heads {}", config.where(),
         config.path_of("head_dim"), stack.width, stack.n_heads);
  }
  stack.head_dim = given ? config.integer("head_dim", 2, kMaxHeadDim) : stack.width / stack.n_heads;
  if (stack.head_dim % 2 != 0 || stack.head_dim > kMaxHeadDim) {
    fail(ErrorCode::kInvalidData,
         "'{}': field '{}' is out of range: expected an even number in 2..{} (RoPE turns pairs), found {}",
         config.where(), config.path_of("head_dim"), kMaxHeadDim, stack.head_dim);
  }
}

}  // namespace

void require_text(const JsonObject& config, const char* key, const std::string& only) {
  const std::string value = config.text_or(key, only);
  if (value == only) return;
  fail(ErrorCode::kUnsupported, "'{}': field '{}' is {}; only {} is supported", config.where(), config.path_of(key),
       brief(value), brief(only));
}

void require_flag(const JsonObject& config, const char* key, bool only) {
  if (config.boolean_or(key, only) == only) return;
  fail(ErrorCode::kUnsupported, "'{}': field '{}' is {}; only {} is supported", config.where(), config.path_of(key),
       !only, only);
}

void require_integer(const JsonObject& config, const char* key, int only) {
  const int value = config.integer_or(key, -kAnyInteger, kAnyInteger, only);
  if (value == only) return;
  fail(ErrorCode::kUnsupported, "'{}': field '{}' is {}; only {} is supported", config.where(), config.path_of(key),
       value, only);
}

RopeSpec read_rope(const JsonObject& config) {
  RopeSpec rope;
  if (config.has("rope_parameters")) {
    const JsonObject parameters = config.object("rope_parameters");
    const JsonObject& holder = !parameters.has("rope_theta") && config.has("rope_theta") ? config : parameters;
    rope.theta = holder.number("rope_theta", kMinTheta, kMaxTheta);
    read_scaling(parameters, "rope_type", rope);
    return rope;
  }
  rope.theta = config.number("rope_theta", kMinTheta, kMaxTheta);
  if (config.has("rope_scaling")) {
    const JsonObject scaling = config.object("rope_scaling");
    read_scaling(scaling, scaling.has("rope_type") || !scaling.has("type") ? "rope_type" : "type", rope);
  }
  return rope;
}

TransformerSpec read_transformer(const JsonObject& config, const char* eps_key) {
  TransformerSpec stack;
  stack.n_layers = config.integer("num_hidden_layers", 1, kMaxLayers);
  stack.width = config.integer("hidden_size", 1, kMaxWidth);
  read_heads(config, stack);
  stack.ffn_width = config.integer("intermediate_size", 1, kMaxFfnWidth);
  stack.norm_eps = config.number(eps_key, 1e-12, 1);
  stack.rope = read_rope(config);
  require_flag(config, "attention_bias", false);
  require_flag(config, "mlp_bias", false);
  return stack;
}

}  // namespace csm
