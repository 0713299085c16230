// The published set of three GGUF files, made here from a tiny checkpoint as its converter lays it out, gives the checkpoint's own logits.
#include <csm/convert.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "engine/gguf_published.h"
#include "engine/gguf_vocabulary.h"
#include "engine_test.h"
#include "io/file.h"
#include "io/gguf.h"

namespace csm::test {
namespace {

namespace fs = std::filesystem;
using Shape = std::vector<int64_t>;

struct Values {
  Shape shape;
  std::vector<float> values;
};

Values values_of(const TensorInfo& tensor) {
  Values result{tensor.shape, std::vector<float>(static_cast<size_t>(tensor.n_elements()))};
  widen_to_f32(tensor.type, tensor.fetch().data.data(), result.values.size(), result.values.data());
  return result;
}

// Rotary pairs side by side, as the set has them: row 2i of a head is row i, row 2i + 1 is row i + half.
Values interleaved(const Values& source, int head_dim) {
  Values result = source;
  const auto width = static_cast<size_t>(source.shape[1]);
  const auto dim = static_cast<size_t>(head_dim);
  for (size_t row = 0; row < static_cast<size_t>(source.shape[0]); ++row) {
    const size_t i = row % dim;
    const size_t from = row / dim * dim + (i % 2 == 0 ? i / 2 : i / 2 + dim / 2);
    std::copy_n(source.values.begin() + static_cast<std::ptrdiff_t>(from * width), width,
                result.values.begin() + static_cast<std::ptrdiff_t>(row * width));
  }
  return result;
}

// A zero slab, the slabs as rows of the vocabulary, and perhaps another zero slab.
Values position_slabs(const Values& heads, int n_zero_behind) {
  const int64_t n = heads.shape[0], width = heads.shape[1], vocab = heads.shape[2];
  Values result{{n + 1 + n_zero_behind, vocab, width}, std::vector<float>(static_cast<size_t>((n + 1 + n_zero_behind) * vocab * width))};
  for (int64_t slab = 0; slab < n; ++slab) {
    for (int64_t d = 0; d < width; ++d) {
      for (int64_t v = 0; v < vocab; ++v) {
        result.values[static_cast<size_t>(((slab + 1) * vocab + v) * width + d)] =
            heads.values[static_cast<size_t>((slab * width + d) * vocab + v)];
      }
    }
  }
  return result;
}

const std::map<std::string, std::string> kLayerNames = {
    {"input_layernorm.weight", "attn_norm.weight"},    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},      {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"}, {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},       {"mlp.down_proj.weight", "ffn_down.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"}};

class File {
 public:
  void add(const std::string& name, const Values& values) {
    writer.add_tensor(name, DType::kF32, values.shape);
    data_.push_back(values.values);
  }
  void save(const std::string& path) {
    AtomicFile file(path);
    writer.begin([&](std::span<const std::byte> bytes) { file.write(bytes.data(), bytes.size()); });
    for (const auto& values : data_) writer.write(std::as_bytes(std::span<const float>(values)));
    writer.finish();
    file.commit();
  }
  GgufWriter writer;

 private:
  std::vector<std::vector<float>> data_;
};

class PublishedSet : public ::testing::Test {
 protected:
  PublishedSet() {
    directory_ = fs::path(::testing::TempDir()) /
                 ("csm_published_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  ~PublishedSet() override { fs::remove_all(directory_); }

  std::string path(const std::string& name = "") const { return (directory_ / name).string(); }

  // Transformers names of the tiny checkpoint -> its values.
  void make_from(const std::string& checkpoint, int n_zero_behind, bool with_vocabulary) {
    source_ = kData + "/ckpt/" + checkpoint;
    config_ = parse_json_file(source_ + "/config.json", 1 << 20);
    std::map<std::string, Values> tensors;
    for (const TensorInfo& tensor : read_safetensors(source_ + "/model.safetensors")) tensors.emplace(tensor.name, values_of(tensor));
    File backbone, depth, codec;
    add_metadata(backbone, config_);
    add_metadata(depth, config_.at("depth_decoder_config"));
    if (with_vocabulary) add_vocabulary(backbone);
    for (const auto& [name, values] : tensors) {
      if (name.rfind("codec_model.", 0) == 0) {
        add_codec(codec, name.substr(12), values, tensors);
      } else {
        add_language_model(backbone, depth, name, values, n_zero_behind);
      }
    }
    if (tensors.count("depth_decoder.model.embed_tokens.weight") == 0) {
      depth.add("audio_embd.weight", tensors.at("backbone_model.embed_tokens.embed_audio_tokens.weight"));
    }
    codec.writer.set_text("general.architecture", "this never will be used");
    backbone.save(path(kPublishedNames[0]));
    depth.save(path(kPublishedNames[1]));
    codec.save(path(kPublishedNames[2]));
  }

  void add_metadata(File& file, const nlohmann::json& config) const {
    const auto count = [&](const char* key, const char* from) {
      file.writer.set_u32(std::string("llama-csm.") + key, config.at(from).get<uint32_t>());
    };
    file.writer.set_text("general.architecture", "llama-csm");
    count("block_count", "num_hidden_layers");
    count("context_length", "max_position_embeddings");
    count("embedding_length", "hidden_size");
    count("feed_forward_length", "intermediate_size");
    count("attention.head_count", "num_attention_heads");
    count("attention.head_count_kv", "num_key_value_heads");
    count("attention.key_length", "head_dim");
    file.writer.set_f32("llama-csm.attention.layer_norm_rms_epsilon", config.at("rms_norm_eps").get<float>());
    file.writer.set_f32("llama-csm.rope.freq_base", 500000.0f);
  }

  void add_vocabulary(File& file) const {
    const nlohmann::json tokenizer = parse_json_file(source_ + "/tokenizer.json", 1 << 24);
    const nlohmann::json& model = tokenizer.at("model");
    std::vector<std::string> tokens(model.at("vocab").size() + tokenizer.at("added_tokens").size());
    std::vector<int32_t> types(tokens.size(), 1);
    for (const auto& [token, id] : model.at("vocab").items()) tokens.at(id.get<size_t>()) = token;
    for (const auto& added : tokenizer.at("added_tokens")) {
      tokens.at(added.at("id").get<size_t>()) = added.at("content").get<std::string>();
      types.at(added.at("id").get<size_t>()) = 3;
    }
    std::vector<std::string> merges;
    for (const auto& pair : model.at("merges")) merges.push_back(pair.at(0).get<std::string>() + " " + pair.at(1).get<std::string>());
    file.writer.set_text("tokenizer.ggml.model", "gpt2");
    file.writer.set_text("tokenizer.ggml.pre", "llama-bpe");
    file.writer.set_strings("tokenizer.ggml.tokens", tokens);
    file.writer.set_i32s("tokenizer.ggml.token_type", types);
    file.writer.set_strings("tokenizer.ggml.merges", merges);
    file.writer.set_u32("tokenizer.ggml.bos_token_id", config_.at("bos_token_id").get<uint32_t>());
    file.writer.set_u32("tokenizer.ggml.eos_token_id", config_.at("bos_token_id").get<uint32_t>() + 1);
  }

  void add_language_model(File& backbone, File& depth, const std::string& name, const Values& values, int n_zero_behind) const {
    const bool is_depth = name.rfind("depth_decoder.", 0) == 0;
    File& file = is_depth ? depth : backbone;
    if (name == "embed_text_tokens.weight") return backbone.add("token_embd.weight", values);
    if (name == "lm_head.weight") return backbone.add("codebook0_head.weight", values);
    if (name == "depth_decoder.model.embed_tokens.weight") return depth.add("audio_embd.weight", values);
    if (name == "backbone_model.norm.weight" || name == "depth_decoder.model.norm.weight") return file.add("output_norm.weight", values);
    if (name == "depth_decoder.codebooks_head.weight") return depth.add("audio_head.weight", position_slabs(values, n_zero_behind));
    if (name == "depth_decoder.model.inputs_embeds_projector.weight") {
      backbone.add("csm_proj.weight", values);
      return depth.add("csm_proj.weight", values);
    }
    const size_t layers = name.find("layers.");
    if (layers == std::string::npos) return;  // the backbone's copy of the audio table
    const size_t dot = name.find('.', layers + 7);
    const std::string suffix = name.substr(dot + 1);
    const int head_dim = (is_depth ? config_.at("depth_decoder_config") : config_).at("head_dim").get<int>();
    const bool is_rotated = suffix == "self_attn.q_proj.weight" || suffix == "self_attn.k_proj.weight";
    file.add("blk." + name.substr(layers + 7, dot - layers - 7) + "." + kLayerNames.at(suffix),
             is_rotated ? interleaved(values, head_dim) : values);
  }

  void add_codec(File& file, std::string name, Values values, const std::map<std::string, Values>& all) const {
    const auto ends_with = [&](const std::string& tail) {
      return name.size() >= tail.size() && name.compare(name.size() - tail.size(), tail.size(), tail) == 0;
    };
    if (ends_with("cluster_usage") || ends_with("initialized")) return;
    const size_t long_name = name.find("_residual_vector_quantizer");
    if (ends_with("q_proj.weight") || ends_with("k_proj.weight")) {
      values = interleaved(values, config_.at("codec_config").at("head_dim").get<int>());
    }
    if (ends_with(".conv.bias")) values.shape = {values.shape[0], 1};
    if (ends_with("put_proj.weight")) values.shape.pop_back();
    if (ends_with(".codebook.embed_sum")) {
      const Values& usage = all.at("codec_model." + name.substr(0, name.size() - 9) + "cluster_usage");
      const auto width = static_cast<size_t>(values.shape[1]);
      for (size_t i = 0; i < values.values.size(); ++i) values.values[i] /= std::max(usage.values[i / width], 1e-5f);
      name.erase(name.size() - 10);
    }
    if (long_name != std::string::npos) name.replace(long_name, 26, "_rvq");
    file.add(name, values);
  }

  static EngineOptions options_of(const std::string& model) {
    EngineOptions options = options_for(model);
    options.backend = "ggml";
    return options;
  }

  static Trace trace_of(Engine& engine) {
    TraceRequest request;
    request.prompt = engine.prompt(greedy_request("Hello there."));
    request.max_frames = 2;
    return engine.trace(request);
  }

  void expect_same_logits() const {
    const auto source = Engine::open(options_of(source_));
    const auto set = Engine::open(options_of(path()));
    EXPECT_EQ(set->tokenize("It is 12.").ids_bos_eos, source->tokenize("It is 12.").ids_bos_eos);
    EXPECT_LE(max_difference(trace_of(*set).logits, trace_of(*source).logits), 2e-6f);
  }

  fs::path directory_;
  std::string source_;
  nlohmann::json config_;
};

// Neither the scaling of the rotary frequencies nor Mimi's shape is in the files; the vocabulary is.
TEST_F(PublishedSet, StandsAlone) {
  make_from("csm-tiny-a", 1, true);
  expect_same_logits();
  const FileReport report = inspect(path());
  EXPECT_EQ(report.layout, "gguf");
  EXPECT_TRUE(report.warnings.empty());
  for (const auto& [name, value] : report.spec) {
    if (name == "backbone.rope") EXPECT_TRUE(contains(value, "llama3")) << value;
  }
  EXPECT_EQ(inspect(path(kPublishedNames[1])).n_parameters, report.n_parameters) << "any of the files means the set";
}

TEST_F(PublishedSet, OfTheEarlierRevisionWith32Slabs) {
  make_from("csm-tiny-f/hf-f32", 0, true);
  expect_same_logits();
}

// With the codec's own configuration beside them, samples are the same too.
TEST_F(PublishedSet, ConfigurationAndTokenizerBesideIt) {
  make_from("csm-tiny-f/hf-f32", 1, false);
  for (const char* name : {"config.json", "tokenizer.json", "generation_config.json"}) fs::copy_file(source_ + "/" + name, path(name));
  expect_same_logits();
  const auto source = Engine::open(options_of(source_));
  const auto set = Engine::open(options_of(path()));
  const Audio clip = golden_clip("mid");
  EXPECT_EQ(set->encode(clip, 0).ids, source->encode(clip, 0).ids);
  EXPECT_LE(max_difference(set->decode(source->encode(clip, 0)).samples, source->decode(source->encode(clip, 0)).samples), 1e-5f);
}

TEST_F(PublishedSet, BecomesOneFile) {
  make_from("csm-tiny-a", 1, true);
  const std::string one = path("one.gguf");
  convert_to_gguf(path(kPublishedNames[0]), one, {});
  EXPECT_EQ(trace_of(*Engine::open(options_of(one))).logits, trace_of(*Engine::open(options_of(path(kPublishedNames[0])))).logits);
}

TEST_F(PublishedSet, AMissingFileIsNamed) {
  make_from("csm-tiny-f/hf-f32", 1, true);
  fs::remove(path(kPublishedNames[2]));
  EXPECT_TRUE(contains(error_of(ErrorCode::kNotFound, [&] { Engine::open(options_of(path())); }), kPublishedNames[2]));
}

TEST_F(PublishedSet, WrongMetadataIsNamed) {
  make_from("csm-tiny-f/hf-f32", 1, true);
  File empty;
  empty.writer.set_text("general.architecture", "llama-csm");
  empty.save(path(kPublishedNames[1]));
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidData, [&] { Engine::open(options_of(path())); }), "block_count"));
}

TEST(GgufVocabulary, OfAnotherKindIsRefused) {
  GgufWriter writer;
  writer.set_text("tokenizer.ggml.model", "llama");
  writer.set_strings("tokenizer.ggml.tokens", {"a"});
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  writer.begin([&](std::span<const std::byte> more) { bytes->insert(bytes->end(), more.begin(), more.end()); });
  writer.finish();
  const GgufFile file = read_gguf_bytes(*bytes, bytes, "test");
  EXPECT_TRUE(has_vocabulary(file));
  EXPECT_TRUE(contains(error_of(ErrorCode::kUnsupported, [&] { tokenizer_json(file); }), "llama"));
}

}  // namespace
}  // namespace csm::test
