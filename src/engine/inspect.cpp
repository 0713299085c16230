// What a model or a weight file is, checked as loading would, without running it (csm/inspect.h).
#include <csm/inspect.h>

#include <filesystem>

#include "base/fail.h"
#include "engine/gguf_model.h"
#include "engine/loader.h"
#include "io/json.h"
#include "io/pytorch.h"
#include "io/tensor_file.h"
#include "model/gguf_keys.h"
#include "model/manifest.h"
#include "model/tensor_names.h"
#include "model/weight_files.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;

class SpecRows {
 public:
  explicit SpecRows(std::vector<std::pair<std::string, std::string>>& rows) : rows_(rows) {}

  template <typename T>
  void add(const std::string& name, const T& value) {
    rows_.emplace_back(name, fmt::format("{}", value));
  }

 private:
  std::vector<std::pair<std::string, std::string>>& rows_;
};

void add_stack(SpecRows& rows, const std::string& prefix, const TransformerSpec& stack) {
  rows.add(prefix + ".layers", stack.n_layers);
  rows.add(prefix + ".width", stack.width);
  rows.add(prefix + ".heads", stack.n_heads);
  rows.add(prefix + ".kv_heads", stack.n_kv_heads);
  rows.add(prefix + ".head_dim", stack.head_dim);
  rows.add(prefix + ".ffn_width", stack.ffn_width);
  rows.add(prefix + ".norm_eps", stack.norm_eps);
  const RopeSpec& rope = stack.rope;
  rows.add(prefix + ".rope",
           rope.llama3
               ? fmt::format("theta {}, llama3 scaling: factor {}, low {}, high {}, original window {}", rope.theta,
                             rope.factor, rope.low_freq_factor, rope.high_freq_factor, rope.original_max_positions)
               : fmt::format("theta {}", rope.theta));
}

std::string sampling_text(const SamplingOptions& options) {
  if (options.temperature == 0) return "greedy";
  std::string text = fmt::format("temperature {}, top_k {}", options.temperature, options.top_k);
  if (options.top_p < 1) text += fmt::format(", top_p {}", options.top_p);
  if (options.min_p > 0) text += fmt::format(", min_p {}", options.min_p);
  if (options.repetition_penalty != 1) text += fmt::format(", repetition_penalty {}", options.repetition_penalty);
  return text;
}

void add_language_model(SpecRows& rows, const ModelSpec& spec) {
  rows.add("codebooks", spec.n_codebooks);
  rows.add("audio_vocab", spec.audio_vocab);
  rows.add("text_vocab", spec.text_vocab);
  rows.add("max_positions", spec.max_positions);
  rows.add("audio_embeddings", spec.tied_audio_embeddings ? "tied" : "untied");
  add_stack(rows, "backbone", spec.backbone);
  add_stack(rows, "depth", spec.depth);
  rows.add("sampling.backbone", sampling_text(spec.backbone_sampling));
  rows.add("sampling.depth", sampling_text(spec.depth_sampling));
  if (spec.max_new_frames > 0) rows.add("max_new_frames", spec.max_new_frames);
}

void add_codec(SpecRows& rows, const CodecSpec& codec) {
  rows.add("codec.sample_rate_hz", codec.sample_rate_hz);
  rows.add("codec.frame_samples", codec.frame_samples());
  rows.add("codec.frame_rate_hz", codec.frame_rate_hz());
  rows.add("codec.codebooks", codec.n_codebooks);
  rows.add("codec.codebook_size", codec.codebook_size);
  rows.add("codec.codebook_dim", codec.codebook_dim);
  rows.add("codec.upsampling_ratios", fmt::format("{}", fmt::join(codec.upsampling_ratios, " ")));
  rows.add("codec.filters", codec.n_filters);
  rows.add("codec.window", codec.window);
  add_stack(rows, "codec.transformer", codec.transformer);
}

struct WeightFormat {
  const char* name;
  uint64_t block_weights;
  uint64_t block_bytes;
};
constexpr WeightFormat kFormats[] = {{"f32", 1, 4}, {"f16", 1, 2}, {"q8_0", 32, 34}, {"q4_0", 32, 18}};

uint64_t n_elements(const ManifestEntry& entry) {
  uint64_t n = 1;
  for (const int64_t extent : entry.shape) n *= static_cast<uint64_t>(extent);
  return n;
}

// Bytes of one tensor in memory when the language model's matrices are in this format and the codec in f32. Rows that
// do not fill whole blocks cannot be quantised.
uint64_t bytes_in_memory(const ManifestEntry& entry, const WeightFormat& format) {
  const uint64_t n = n_elements(entry);
  if (entry.use == TensorUse::kTable) return n * (format.block_bytes == 4 ? 4 : 2);
  if (!entry.may_quantise) return n * 4;
  const int64_t row =
      entry.shape.size() == 3 ? entry.shape[1] : entry.shape.back();  // codebooks_head is [codebook, in, out]
  if (static_cast<uint64_t>(row) % format.block_weights != 0) return n * 2;
  return n / format.block_weights * format.block_bytes;
}

uint64_t kv_cache_bytes(const TransformerSpec& stack, int n_positions) {
  return uint64_t{2} * static_cast<uint64_t>(stack.n_layers) * static_cast<uint64_t>(stack.n_kv_heads) *
         static_cast<uint64_t>(stack.head_dim) * static_cast<uint64_t>(n_positions) * sizeof(float);
}

void describe_spec(FileReport& report, const ModelSpec& spec) {
  SpecRows rows(report.spec);
  uint64_t cache_bytes = 2 * kv_cache_bytes(spec.codec.transformer, spec.codec.window);  // encoder and decoder
  if (spec.has_language_model) {
    add_language_model(rows, spec);
    cache_bytes += kv_cache_bytes(spec.backbone, spec.max_positions) + kv_cache_bytes(spec.depth, spec.n_codebooks);
  }
  add_codec(rows, spec.codec);
  const std::vector<ManifestEntry> entries = manifest(spec);
  for (const ManifestEntry& entry : entries) report.n_parameters += n_elements(entry);
  for (const WeightFormat& format : kFormats) {
    uint64_t n_bytes = cache_bytes;
    for (const ManifestEntry& entry : entries) n_bytes += bytes_in_memory(entry, format);
    report.memory_estimates.emplace_back(format.name, n_bytes);
  }
}

void list_tensors(FileReport& report, const std::vector<TensorInfo>& tensors) {
  for (const TensorInfo& tensor : tensors) {
    report.tensors.push_back({tensor.name, to_string(tensor.type), tensor.shape, tensor.n_bytes()});
    report.weight_bytes += tensor.n_bytes();
  }
}

// Where a GGUF file of ours came from.
void add_origin(SpecRows& rows, const std::string& path) {
  const GgufFile file = read_gguf(path);
  for (const char* key : {"general.name", "general.license", gguf::kTypes, gguf::kSourceName, gguf::kDate, gguf::kVersion}) {
    const GgufValue* value = file.find(key);
    if (value != nullptr && value->text() && !value->text()->empty()) rows.add(std::string("gguf.") + key, value->describe());
  }
}

FileReport inspect_model(const std::string& path) {
  const ModelFiles files = find_model_files(path);
  const auto checkpoint = load_checkpoint(files);
  FileReport report;
  report.kind = checkpoint->spec().has_language_model ? "csm" : "mimi";
  report.layout = checkpoint->layout();
  report.warnings = checkpoint->warnings();
  describe_spec(report, checkpoint->spec());
  if (files.gguf.size() == 1) {
    SpecRows rows(report.spec);
    add_origin(rows, files.gguf.front());
  }
  for (const std::string& file : files.weights) list_tensors(report, read_tensor_file(file));
  if (!files.tokenizer.empty()) {
    const int n_ids = load_tokenizer(files)->n_ids();
    report.spec.emplace_back("tokenizer", fmt::format("{}, ids below {}", fs::path(files.tokenizer).filename().string(), n_ids));
  } else if (checkpoint->spec().has_language_model) {
    report.warnings.push_back("no tokenizer.json or tokenizer.model: the model can be traced but cannot be given text");
  }
  return report;
}

bool has_config_beside(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path.parent_path() / "config.json", error);
}

// Weights of a model are checked with it; any other file is only listed.
FileReport inspect_weights(const std::string& path) {
  const std::vector<TensorInfo> tensors = read_tensor_file(path);
  for (const TensorInfo& tensor : tensors) {
    const std::string name = canonical_name(tensor.name).name;
    const bool is_weight = is_language_model_name(name) || is_codec_name(name);
    if (is_weight && has_config_beside(path)) return inspect_model(path);
  }
  FileReport report;
  report.kind = is_pytorch_name(path) ? "pytorch" : "safetensors";
  list_tensors(report, tensors);
  for (const TensorInfo& tensor : tensors) report.n_parameters += static_cast<uint64_t>(tensor.n_elements());
  return report;
}

// A model of ours is checked whole, and so is the published set through any of its files; any other GGUF file is only listed.
FileReport inspect_gguf(const std::string& path) {
  const GgufFile file = read_gguf(path);
  if (is_our_gguf(file) || is_published_name(fs::path(path).filename().string())) return inspect_model(path);
  FileReport report;
  report.kind = "gguf";
  for (const auto& [key, value] : file.metadata) report.spec.emplace_back(key, value.describe());
  list_tensors(report, file.tensors);
  for (const TensorInfo& tensor : file.tensors) report.n_parameters += static_cast<uint64_t>(tensor.n_elements());
  return report;
}

FileReport inspect_config(const std::string& path) {
  FileReport report;
  report.kind = "config";
  describe_spec(report, parse_model_spec(parse_json_file(path, kMaxConfigBytes), path));
  return report;
}

}  // namespace

FileReport inspect(const std::string& path) {
  const fs::path given(path);
  std::error_code error;
  if (!fs::is_regular_file(given, error)) return inspect_model(path);
  if (is_weight_name(given.filename().string())) return inspect_weights(path);
  if (is_gguf_name(path) || has_gguf_magic(path)) return inspect_gguf(path);
  const std::string name = given.filename().string();
  const bool is_part_of_model = name == "tokenizer.json" || name == "tokenizer.model" || name == "generation_config.json" ||
                                is_index_name(name);
  if (given.extension() == ".json" && !is_part_of_model) return inspect_config(path);
  return inspect_model(path);
}

}  // namespace csm
