#include "engine/gguf_published.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unordered_map>

#include "base/fail.h"
#include "engine/gguf_vocabulary.h"
#include "io/gguf.h"
#include "io/json.h"
#include "model/gguf_keys.h"
#include "model/manifest.h"
#include "model/row_order.h"
#include "model/tensor_names.h"

namespace csm {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;
constexpr int kMaxExtent = 1 << 24;
constexpr int kMaxLayers = 1024;

// What the format leaves out, since it has one model in mind: the scaling of CSM's rotary frequencies...
constexpr const char* kRopeScaling =
    R"({"rope_type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192})";
// ... and of Mimi, what no tensor's shape shows.
constexpr const char* kMimiConstants = R"({
  "model_type": "mimi", "sampling_rate": 24000, "num_attention_heads": 8, "num_key_value_heads": 8, "norm_eps": 1e-5,
  "sliding_window": 250, "rope_parameters": {"rope_type": "default", "rope_theta": 10000}, "num_semantic_quantizers": 1})";

struct Rename {
  std::string_view from;
  std::string_view to;
};
constexpr Rename kLayerNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"},    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},      {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"}, {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},       {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
};
constexpr Rename kBackboneNames[] = {{"token_embd.weight", "embed_text_tokens.weight"},
                                     {"codebook0_head.weight", kFirstHeadRows},
                                     {"output_norm.weight", "backbone_model.norm.weight"}};
constexpr const char* kAudioHead = "audio_head.weight";
constexpr Rename kDepthNames[] = {{"audio_embd.weight", kBackboneAudioTable},
                                  {"csm_proj.weight", "depth_decoder.model.inputs_embeds_projector.weight"},
                                  {kAudioHead, kDepthHeadRows},
                                  {"output_norm.weight", "depth_decoder.model.norm.weight"}};
constexpr std::string_view kCodebook = ".codebook";

struct PublishedSet {
  explicit PublishedSet(const ModelFiles& files)
      : backbone(read_gguf(files.gguf.at(0))), depth(read_gguf(files.gguf.at(1))), codec(read_gguf(files.gguf.at(2))) {}
  GgufFile backbone, depth, codec;
};

const TensorInfo* find_tensor(const GgufFile& file, const std::string& name) {
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// The extent of a tensor's dimension, counted from the slowest.
int extent(const GgufFile& file, const std::string& name, size_t dimension) {
  const TensorInfo* tensor = find_tensor(file, name);
  if (tensor == nullptr || tensor->shape.size() <= dimension || tensor->shape[dimension] > kMaxExtent) {
    fail(ErrorCode::kInvalidData, "'{}' needs a tensor '{}' of at least {} dimensions; found {}", file.where, name, dimension + 1,
         tensor == nullptr ? "none" : tensor->describe());
  }
  return static_cast<int>(tensor->shape[dimension]);
}

int count_layers(const GgufFile& file, const std::string& prefix, const std::string& suffix) {
  int n = 0;
  while (n < kMaxLayers && find_tensor(file, fmt::format("{}{}{}", prefix, n, suffix)) != nullptr) ++n;
  return n;
}

json stack_config(const GgufFile& file) {
  const std::string prefix = std::string(file.text(gguf::kArchitecture)) + ".";
  const auto integer = [&](const char* key) { return file.integer(prefix + key, 1, kMaxExtent); };
  json config;
  config["num_hidden_layers"] = integer("block_count");
  config["hidden_size"] = integer("embedding_length");
  config["intermediate_size"] = integer("feed_forward_length");
  config["num_attention_heads"] = integer("attention.head_count");
  config["num_key_value_heads"] = integer("attention.head_count_kv");
  config["head_dim"] = integer("attention.key_length");
  config["max_position_embeddings"] = integer("context_length");
  config["rms_norm_eps"] = file.number(prefix + "attention.layer_norm_rms_epsilon", 0, 1);
  config["hidden_act"] = "silu";
  config["rope_parameters"] = parse_json(kRopeScaling, "rope scaling");
  config["rope_parameters"]["rope_theta"] = file.number(prefix + "rope.freq_base", 1, 1e12);
  return config;
}

json codec_config(const GgufFile& file) {
  const auto shape = [&](const std::string& name, size_t dimension) { return extent(file, name, dimension); };
  json config = parse_json(kMimiConstants, "Mimi");
  json ratios = json::array();
  int next = 2;  // the module of the next transposed convolution; a residual block follows each
  for (; find_tensor(file, fmt::format("decoder.layers.{}.block.1.conv.weight", next + 1)) != nullptr; next += 3) {
    ratios.push_back(shape(fmt::format("decoder.layers.{}.conv.weight", next), 2) / 2);
  }
  const std::string block = "decoder.layers.3.block.1.conv.weight";
  config["upsampling_ratios"] = ratios;
  config["num_filters"] = shape("encoder.layers.0.conv.weight", 0);
  config["kernel_size"] = shape("encoder.layers.0.conv.weight", 2);
  config["last_kernel_size"] = shape(fmt::format("decoder.layers.{}.conv.weight", next), 2);
  config["residual_kernel_size"] = shape(block, 2);
  config["compress"] = shape(block, 1) / shape(block, 0);
  const int width = shape("decoder_transformer.layers.0.mlp.fc1.weight", 1);
  config["hidden_size"] = config["upsample_groups"] = width;
  config["head_dim"] = std::max(1, width / config.at("num_attention_heads").get<int>());
  config["intermediate_size"] = shape("decoder_transformer.layers.0.mlp.fc1.weight", 0);
  config["num_hidden_layers"] = count_layers(file, "decoder_transformer.layers.", ".mlp.fc1.weight");
  config["codebook_size"] = shape("quantizer.semantic_rvq.layers.0.codebook", 0);
  config["codebook_dim"] = config["vector_quantization_hidden_dimension"] = shape("quantizer.semantic_rvq.layers.0.codebook", 1);
  config["num_quantizers"] = count_layers(file, "quantizer.semantic_rvq.layers.", ".codebook") +
                             count_layers(file, "quantizer.acoustic_rvq.layers.", ".codebook");
  return config;
}

json model_config(const PublishedSet& set) {
  json config = stack_config(set.backbone);
  json depth = stack_config(set.depth);
  const int vocab = extent(set.backbone, "codebook0_head.weight", 0);
  const int n_codebooks = extent(set.depth, "audio_embd.weight", 0) / vocab;
  config["model_type"] = "csm";
  config["text_vocab_size"] = extent(set.backbone, "token_embd.weight", 0);
  config["vocab_size"] = depth["vocab_size"] = vocab;
  config["num_codebooks"] = depth["num_codebooks"] = n_codebooks;
  depth["backbone_hidden_size"] = config["hidden_size"];
  config["depth_decoder_config"] = depth;
  config["codec_config"] = codec_config(set.codec);
  const GgufValue* bos = set.backbone.find("tokenizer.ggml.bos_token_id");
  if (bos != nullptr && bos->unsigned_integer()) config["bos_token_id"] = *bos->unsigned_integer();
  return config;
}

ModelSpec read_spec(const PublishedSet& set, const ModelFiles& files) {
  if (!files.config.empty()) return parse_model_spec(parse_json_file(files.config, kMaxConfigBytes), files.config);
  return parse_model_spec(model_config(set), files.directory + " (GGUF metadata and shapes)");
}

// Renames by a table, or by layer; nothing for a tensor that is not ours.
std::string language_model_name(std::string_view name, std::span<const Rename> whole, std::string_view layer_prefix) {
  for (const Rename& rename : whole) {
    if (name == rename.from) return std::string(rename.to);
  }
  constexpr std::string_view kBlock = "blk.";
  if (name.substr(0, kBlock.size()) != kBlock) return "";
  const std::string_view rest = name.substr(kBlock.size());
  const size_t dot = rest.find('.');
  if (dot == std::string_view::npos) return "";
  for (const Rename& rename : kLayerNames) {
    if (rest.substr(dot + 1) == rename.from) return fmt::format("{}layers.{}.{}", layer_prefix, rest.substr(0, dot), rename.to);
  }
  return "";
}

// Slabs are indexed by position: a zero slab first, then those of codebooks 1.., then perhaps a zero slab.
TensorInfo real_slabs(const TensorInfo& source, const ModelSpec& spec, const std::string& where) {
  if (source.shape.size() != 3 || source.shape[0] < spec.n_codebooks || source.shape[0] > spec.n_codebooks + 1) {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' is {}; expected {} or {} slabs", where, kAudioHead, source.describe(),
         spec.n_codebooks, spec.n_codebooks + 1);
  }
  return row_slice(source, 1, spec.n_codebooks - 1);
}

void add_language_model(const PublishedSet& set, const ModelSpec& spec, std::vector<TensorInfo>& tensors) {
  const auto add = [&](const TensorInfo& source, std::string name) {
    if (name.empty()) return;  // rope_freqs, the backbone's copy of the projection
    tensors.push_back(source);
    tensors.back().name = std::move(name);
  };
  for (const TensorInfo& tensor : set.backbone.tensors) {
    add(tensor, language_model_name(tensor.name, kBackboneNames, "backbone_model."));
  }
  for (const TensorInfo& tensor : set.depth.tensors) {
    const std::string name = language_model_name(tensor.name, kDepthNames, "depth_decoder.model.");
    add(name == kDepthHeadRows ? real_slabs(tensor, spec, set.depth.where) : tensor, name);
  }
}

// A codebook comes divided by its usage: its sum is itself, and its usage one.
void add_codebook(TensorInfo codebook, std::vector<TensorInfo>& tensors) {
  TensorInfo usage;
  usage.name = codebook.name + ".cluster_usage";
  usage.shape = {codebook.shape.at(0)};
  const auto ones = std::make_shared<std::vector<float>>(static_cast<size_t>(codebook.shape[0]), 1.0f);
  usage.fetch = [ones] { return TensorBytes{std::as_bytes(std::span<const float>(*ones)), ones, false}; };
  codebook.name += ".embed_sum";
  tensors.push_back(std::move(codebook));
  tensors.push_back(std::move(usage));
}

void add_codec(const GgufFile& file, std::vector<TensorInfo>& tensors) {
  for (TensorInfo tensor : file.tensors) {
    tensor.name = canonical_name(tensor.name).name;
    const std::string_view name = tensor.name;
    const bool is_codebook = name.size() > kCodebook.size() && name.substr(name.size() - kCodebook.size()) == kCodebook;
    if (is_codebook && tensor.shape.size() == 2) {
      add_codebook(std::move(tensor), tensors);
    } else {
      tensors.push_back(std::move(tensor));
    }
  }
}

std::vector<int64_t> without_ones(std::vector<int64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), int64_t{1}), shape.end());
  return shape;
}

// Biases come as (n, 1), projections without their kernel of 1.
void restore_shapes(const ModelSpec& spec, std::vector<TensorInfo>& tensors) {
  std::unordered_map<std::string, std::vector<int64_t>> expected;
  for (ManifestEntry& entry : manifest(spec)) expected.emplace(entry.name, std::move(entry.shape));
  for (TensorInfo& tensor : tensors) {
    const auto it = expected.find(tensor.name);
    if (it != expected.end() && without_ones(tensor.shape) == without_ones(it->second)) tensor.shape = it->second;
  }
}

// The files keep rotary pairs side by side.
void restore_row_order(const ModelSpec& spec, std::vector<TensorInfo>& tensors) {
  const std::pair<std::string_view, int> stacks[] = {{"backbone_model.", spec.backbone.head_dim},
                                                     {"depth_decoder.model.", spec.depth.head_dim},
                                                     {"encoder_transformer.", spec.codec.transformer.head_dim},
                                                     {"decoder_transformer.", spec.codec.transformer.head_dim}};
  for (TensorInfo& tensor : tensors) {
    const bool is_rotated = tensor.name.find("self_attn.q_proj.weight") != std::string::npos ||
                            tensor.name.find("self_attn.k_proj.weight") != std::string::npos;
    for (const auto& [prefix, head_dim] : stacks) {
      if (!is_rotated || tensor.name.compare(0, prefix.size(), prefix) != 0) continue;
      if (tensor.shape.at(0) % head_dim == 0) tensor = half_split_rows(tensor, head_dim);  // else the manifest finds it misshapen
    }
  }
}

}  // namespace

void find_published_companions(const std::vector<std::string>& names, ModelFiles& files) {
  const auto beside = [&](const char* name) {
    const bool there = std::find(names.begin(), names.end(), name) != names.end();
    return there ? (std::filesystem::path(files.directory) / name).string() : std::string();
  };
  files.config = beside("config.json");
  files.generation_config = beside("generation_config.json");
  files.tokenizer = find_tokenizer(files.directory);
  if (files.tokenizer.empty() && has_vocabulary(read_gguf(files.gguf.front()))) files.tokenizer = files.gguf.front();
}

std::string published_config(const ModelFiles& files) { return model_config(PublishedSet(files)).dump(2); }

ModelSpec read_published_spec(const ModelFiles& files) {
  ModelSpec spec = read_spec(PublishedSet(files), files);
  if (!files.generation_config.empty()) {
    apply_generation_config(spec, parse_json_file(files.generation_config, kMaxConfigBytes), files.generation_config);
  }
  return spec;
}

std::shared_ptr<const Checkpoint> load_published_checkpoint(const ModelFiles& files, WeightCheck check) {
  const PublishedSet set(files);
  ModelSpec spec = read_published_spec(files);
  std::vector<TensorInfo> tensors;
  add_language_model(set, spec, tensors);
  add_codec(set.codec, tensors);
  restore_shapes(spec, tensors);
  restore_row_order(spec, tensors);
  return Checkpoint::create(std::move(spec), std::move(tensors), files.directory, check);
}

std::unique_ptr<Tokenizer> load_published_tokenizer(const ModelFiles& files, int n_rows) {
  if (files.tokenizer != files.gguf.front()) return Tokenizer::load(files.tokenizer, n_rows);
  const GgufFile file = read_gguf(files.gguf.front());
  return Tokenizer::parse_json(tokenizer_json(file), file.where + " (tokenizer.ggml)");
}

}  // namespace csm
