// config.json and generation_config.json: all forms that are read, and what is refused by name.
#include <gtest/gtest.h>

#include <cmath>

#include "model/spec.h"
#include "model_test.h"

namespace csm::test {
namespace {

using nlohmann::json;

TEST(Spec, TransformersFive) {
  const ModelSpec spec = spec_of("csm-tiny-a");
  EXPECT_TRUE(spec.has_language_model);
  EXPECT_EQ(spec.backbone.n_layers, 3);
  EXPECT_EQ(spec.backbone.width, 16);
  EXPECT_EQ(spec.backbone.n_heads, 2);
  EXPECT_EQ(spec.backbone.n_kv_heads, 1);
  EXPECT_EQ(spec.backbone.head_dim, 8);
  EXPECT_EQ(spec.backbone.ffn_width, 48);
  EXPECT_DOUBLE_EQ(spec.backbone.norm_eps, 1e-5);
  EXPECT_TRUE(spec.backbone.rope.llama3);
  EXPECT_DOUBLE_EQ(spec.backbone.rope.theta, 500000);
  EXPECT_EQ(spec.depth.width, 8);
  EXPECT_DOUBLE_EQ(spec.depth.rope.high_freq_factor, 0.0078125);
  EXPECT_EQ(spec.n_codebooks, 32);
  EXPECT_EQ(spec.audio_vocab, 2051);
  EXPECT_EQ(spec.n_valid_codes(), 2048);
  EXPECT_EQ(spec.text_vocab, 400);
  EXPECT_EQ(spec.text_bos_id, 384);
  EXPECT_EQ(spec.max_positions, 2048);
  EXPECT_TRUE(spec.tied_audio_embeddings);
  EXPECT_EQ(spec.codec.frame_samples(), 1920);
  EXPECT_DOUBLE_EQ(spec.codec.frame_rate_hz(), 12.5);
  EXPECT_EQ(spec.codec.window, 250);
  EXPECT_FALSE(spec.codec.transformer.rope.llama3);
}

TEST(Spec, FormOf2025) {
  const ModelSpec spec = spec_of("csm-tiny-b");
  EXPECT_EQ(spec.backbone.head_dim, 24);  // heads x head is not the width
  EXPECT_EQ(spec.depth.n_kv_heads, 4);
  EXPECT_DOUBLE_EQ(spec.backbone.rope.theta, 10000);
  EXPECT_DOUBLE_EQ(spec.backbone.rope.factor, 8);
  EXPECT_DOUBLE_EQ(spec.depth.rope.original_max_positions, 12);
  EXPECT_DOUBLE_EQ(spec.backbone.norm_eps, 1e-4);
  EXPECT_FALSE(spec.tied_audio_embeddings);
  EXPECT_EQ(spec.codec.frame_samples(), 480);
  EXPECT_DOUBLE_EQ(spec.codec.transformer.rope.theta, 5000);
  EXPECT_EQ(spec.codec.codebook_size, 64);
  EXPECT_EQ(spec.n_valid_codes(), 64);
}

TEST(Spec, MimiAlone) {
  const ModelSpec spec = spec_of("mimi-tiny-c");
  EXPECT_FALSE(spec.has_language_model);
  EXPECT_EQ(spec.codec.n_codebooks, 32);
  EXPECT_EQ(spec.codec.transformer.n_layers, 8);
}

TEST(Spec, OriginalKeysBesideTheOthers) {
  const ModelSpec spec = spec_of("csm-tiny-f/original");  // its flavours are not known, and need not be
  EXPECT_EQ(spec.backbone.width, 32);
  EXPECT_EQ(spec.n_codebooks, 8);
}

json original_config() {
  return json::parse(R"({"backbone_flavor": "llama-1B", "decoder_flavor": "llama-100M", "text_vocab_size": 128256,
                         "audio_vocab_size": 2051, "audio_num_codebooks": 32})");
}

TEST(Spec, OriginalFlavours) {
  const ModelSpec spec = parse_model_spec(original_config(), "original");
  EXPECT_EQ(spec.backbone.n_layers, 16);
  EXPECT_EQ(spec.backbone.head_dim, 64);
  EXPECT_EQ(spec.depth.n_layers, 4);
  EXPECT_EQ(spec.depth.head_dim, 128);
  EXPECT_EQ(spec.depth.n_kv_heads, 2);
  EXPECT_EQ(spec.max_positions, 2048);
  EXPECT_EQ(spec.text_vocab, 128256);
  EXPECT_EQ(spec.codec.frame_samples(), 1920);
  EXPECT_EQ(spec.codec.codebook_dim, 256);
}

TEST(Spec, OriginalFlavourThatIsNotKnown) {
  json config = original_config();
  config["backbone_flavor"] = "llama-8B";
  const std::string message = error_of([&] { parse_model_spec(config, "c"); }, ErrorCode::kUnsupported);
  EXPECT_TRUE(contains(message, "backbone_flavor") && contains(message, "llama-8B") && contains(message, "llama-1B"))
      << message;
  config = original_config();
  config.erase("audio_num_codebooks");
  EXPECT_TRUE(contains(error_of([&] { parse_model_spec(config, "c"); }), "audio_num_codebooks"));
}

// The table of the specification, section 1.3.
TEST(Rope, FrequenciesOfTheSpecification) {
  const ModelSpec spec = parse_model_spec(original_config(), "original");
  const std::vector<double> backbone = rope_frequencies(spec.backbone.rope, 64);
  ASSERT_EQ(backbone.size(), 32u);
  EXPECT_DOUBLE_EQ(backbone[0], 1);
  EXPECT_NEAR(backbone[1], 0.663601279, 1e-7);
  EXPECT_NEAR(backbone[15] / 0.00129054801, 1, 1e-6);
  EXPECT_NEAR(backbone[16] / 0.000429556705, 1, 1e-6);
  EXPECT_NEAR(backbone[17] / 9.70828623e-05, 1, 1e-6);
  EXPECT_NEAR(backbone[31] / 9.41830649e-08, 1, 1e-6);
  EXPECT_NEAR(rope_frequencies(spec.depth.rope, 128)[34] / 9.70828623e-05, 1, 1e-6);
}

// Transformers writes the same scaling with other numbers.
TEST(Rope, BothWritingsOfTheScalingAgree) {
  const ModelSpec original = parse_model_spec(original_config(), "original");
  const ModelSpec transformers = spec_of("csm-tiny-a");
  for (const int head_dim : {64, 128}) {
    const auto expected = rope_frequencies(original.backbone.rope, head_dim);
    const auto backbone = rope_frequencies(transformers.backbone.rope, head_dim);
    const auto depth = rope_frequencies(transformers.depth.rope, head_dim);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(backbone[i] / expected[i], 1, 1e-12);
      EXPECT_NEAR(depth[i] / expected[i], 1, 1e-12);
    }
  }
}

TEST(Rope, PlainWithoutScaling) {
  RopeSpec rope;
  rope.theta = 10000;
  EXPECT_NEAR(rope_frequencies(rope, 8)[2], 0.01, 1e-12);
}

// One changed field of the nano configuration, and what its error must name.
struct Change {
  const char* pointer;
  json value;  // discarded: the field is taken away
  const char* named;
  ErrorCode code = ErrorCode::kInvalidData;
};

json changed(json config, const Change& change) {
  const json::json_pointer pointer(change.pointer);
  if (change.value.is_discarded()) {
    config.at(pointer.parent_pointer()).erase(pointer.back());
  } else {
    config[pointer] = change.value;
  }
  return config;
}

void expect_refused(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    const json config = changed(config_of("nano"), change);
    const std::string message = error_of([&] { parse_model_spec(config, "some/config.json"); }, change.code);
    EXPECT_TRUE(contains(message, change.named) && contains(message, "some/config.json"))
        << change.pointer << ": " << message;
  }
}

const json kAbsent(json::value_t::discarded);
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

TEST(Spec, RefusesLanguageModelFields) {
  expect_refused({
      {"/model_type", "llama", "model_type", kUnsupported},
      {"/model_type", kAbsent, "model_type"},
      {"/rms_norm_eps", kAbsent, "rms_norm_eps"},
      {"/rms_norm_eps", 0, "rms_norm_eps"},
      {"/text_vocab_size", kAbsent, "text_vocab_size"},
      {"/text_vocab_size", 0, "text_vocab_size"},
      {"/bos_token_id", 272, "bos_token_id"},
      {"/intermediate_size", kAbsent, "intermediate_size"},
      {"/max_position_embeddings", 0, "max_position_embeddings"},
      {"/num_key_value_heads", kAbsent, "num_key_value_heads"},
      {"/num_codebooks", 1, "num_codebooks"},
      {"/attention_bias", true, "attention_bias", kUnsupported},
      {"/mlp_bias", true, "mlp_bias", kUnsupported},
      {"/hidden_act", "gelu", "hidden_act", kUnsupported},
      {"/tie_codebooks_embeddings", "yes", "tie_codebooks_embeddings"},
      {"/codebook_eos_token_id", 5, "codebook_eos_token_id", kUnsupported},
      {"/rope_parameters", kAbsent, "rope_theta"},
      {"/rope_parameters/rope_theta", kAbsent, "rope_parameters.rope_theta"},
      {"/rope_parameters/rope_type", "linear", "rope_parameters.rope_type", kUnsupported},
      {"/rope_parameters/rope_type", kAbsent, "rope_parameters.rope_type"},
      {"/rope_parameters/factor", kAbsent, "rope_parameters.factor"},
      {"/rope_parameters/low_freq_factor", 0, "rope_parameters.low_freq_factor"},
      {"/rope_parameters/partial_rotary_factor", 0.5, "partial_rotary_factor", kUnsupported},
      {"/depth_decoder_config/hidden_size", kAbsent, "depth_decoder_config.hidden_size"},
      {"/depth_decoder_config/vocab_size", 12, "depth_decoder_config.vocab_size"},
      {"/depth_decoder_config/backbone_hidden_size", 9, "depth_decoder_config.backbone_hidden_size"},
      {"/depth_decoder_config/max_position_embeddings", 1, "depth_decoder_config.max_position_embeddings"},
      {"/depth_decoder_config", json::array(), "depth_decoder_config"},
  });
}

TEST(Spec, RefusesCodecFields) {
  expect_refused({
      {"/codec_config/model_type", "encodec", "codec_config.model_type", kUnsupported},
      {"/codec_config/audio_channels", 2, "codec_config.audio_channels", kUnsupported},
      {"/codec_config/use_causal_conv", false, "codec_config.use_causal_conv", kUnsupported},
      {"/codec_config/use_conv_shortcut", true, "codec_config.use_conv_shortcut", kUnsupported},
      {"/codec_config/num_residual_layers", 2, "codec_config.num_residual_layers", kUnsupported},
      {"/codec_config/pad_mode", "reflect", "codec_config.pad_mode", kUnsupported},
      {"/codec_config/trim_right_ratio", 0.5, "codec_config.trim_right_ratio", kUnsupported},
      {"/codec_config/upsample_groups", 1, "codec_config.upsample_groups", kUnsupported},
      {"/codec_config/hidden_act", "gelu_new", "codec_config.hidden_act", kUnsupported},
      {"/codec_config/num_semantic_quantizers", 2, "codec_config.num_semantic_quantizers", kUnsupported},
      {"/codec_config/_frame_rate", 25, "codec_config._frame_rate", kUnsupported},
      {"/codec_config/vector_quantization_hidden_dimension", 3, "codec_config.codebook_dim"},
      {"/codec_config/sampling_rate", 0, "codec_config.sampling_rate"},
      {"/codec_config/compress", 3, "codec_config.compress"},
      {"/codec_config/kernel_size", kAbsent, "codec_config.kernel_size"},
      {"/codec_config/upsampling_ratios", json::parse("[1000, 1000, 1000]"), "codec_config.upsampling_ratios"},
      {"/codec_config/upsampling_ratios", json::parse("[4, 2.5]"), "codec_config.upsampling_ratios[1]"},
      {"/codec_config/codebook_size", 1e9, "codec_config.codebook_size"},
      {"/codec_config/sliding_window", kAbsent, "codec_config.sliding_window"},
      {"/codec_config/rope_parameters/rope_type", "dynamic", "codec_config.rope_parameters.rope_type", kUnsupported},
  });
  json config = config_of("nano");
  config["codec_config"]["num_attention_heads"] = 2;
  config["codec_config"]["head_dim"] = 2;
  EXPECT_TRUE(
      contains(error_of([&] { parse_model_spec(config, "c"); }, kUnsupported), "codec_config.num_key_value_heads"));
}

TEST(Spec, HeadDimFollowsFromTheWidth) {
  json config = config_of("csm-tiny-a");
  config.erase("head_dim");
  config["depth_decoder_config"]["head_dim"] = nullptr;
  const ModelSpec spec = parse_model_spec(config, "c");
  EXPECT_EQ(spec.backbone.head_dim, 8);
  EXPECT_EQ(spec.depth.head_dim, 4);
  config["num_attention_heads"] = 3;
  config["num_key_value_heads"] = 3;
  EXPECT_TRUE(contains(error_of([&] { parse_model_spec(config, "c"); }), "head_dim"));
}

TEST(Spec, DepthDecoderMayUseFewerCodebooksThanTheCodec) {
  json config = config_of("nano");
  config["codec_config"]["num_quantizers"] = 4;
  EXPECT_EQ(parse_model_spec(config, "c").codec.n_codebooks, 4);
}

TEST(Spec, MalformedJsonFilesAreNotModels) {
  const nlohmann::json cases = malformed_cases();
  for (const auto& item : cases) {
    if (item.at("target") != "json") continue;
    const std::string path = kMalformed + item.at("path").get<std::string>();
    EXPECT_NE(error_of([&] { parse_model_spec(parse_json_file(path, 1 << 24), path); }), "") << path;
  }
}

TEST(GenerationConfig, SetsTheDefaultsOfBothParts) {
  ModelSpec spec = spec_of("nano");
  apply_generation_config(
      spec, json::parse(R"({"temperature": 0.4, "top_k": 20, "top_p": 0.9, "depth_decoder_temperature": 0.7,
      "depth_decoder_top_k": 0, "depth_decoder_min_p": 0.1, "max_new_tokens": 77, "do_sample": true, "pad_token_id": 1})"),
      "g");
  EXPECT_FLOAT_EQ(spec.backbone_sampling.temperature, 0.4f);
  EXPECT_EQ(spec.backbone_sampling.top_k, 20);
  EXPECT_FLOAT_EQ(spec.backbone_sampling.top_p, 0.9f);
  EXPECT_FLOAT_EQ(spec.depth_sampling.temperature, 0.7f);
  EXPECT_EQ(spec.depth_sampling.top_k, 0);
  EXPECT_FLOAT_EQ(spec.depth_sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(spec.depth_sampling.top_p, 1.0f);
  EXPECT_EQ(spec.max_new_frames, 77);
}

TEST(GenerationConfig, GreedyAndAbsentFields) {
  ModelSpec spec = spec_of("nano");
  apply_generation_config(spec, json::parse(R"({"do_sample": false, "temperature": 0.4})"), "g");
  EXPECT_EQ(spec.backbone_sampling.temperature, 0);
  EXPECT_EQ(spec.depth_sampling.temperature, 0);  // one setting for all codebooks
  spec = spec_of("nano");
  apply_generation_config(spec, json::parse(R"({"depth_decoder_do_sample": false})"), "g");
  EXPECT_FLOAT_EQ(spec.backbone_sampling.temperature, 0.9f);
  EXPECT_EQ(spec.depth_sampling.temperature, 0);
  EXPECT_EQ(spec.max_new_frames, 0);
}

TEST(GenerationConfig, RefusesBadValues) {
  for (const char* text :
       {R"({"temperature": -1})", R"({"top_k": -1})", R"({"top_p": 0})", R"({"depth_decoder_top_k": 1.5})",
        R"({"do_sample": 1})", R"({"max_new_tokens": 0})", R"([])"}) {
    ModelSpec spec = spec_of("nano");
    EXPECT_NE(error_of([&] { apply_generation_config(spec, json::parse(text), "generation_config.json"); }), "")
        << text;
  }
}

}  // namespace
}  // namespace csm::test
