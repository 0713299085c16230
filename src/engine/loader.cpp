#include "engine/loader.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/fail.h"
#include "engine/gguf_model.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "model/tensor_names.h"
#include "model/weight_files.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;
constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 20;
// sesame/csm-1b keeps the original weights under the usual name and the Transformers ones under this.
constexpr const char* kIndexNames[] = {"transformers.safetensors.index.json", "model.safetensors.index.json", kPytorchIndex};
constexpr const char* kHolds =
    "a model directory holds config.json, model.safetensors (or shards with their index, or a PyTorch file) and tokenizer.json (or "
    "tokenizer.model), or one GGUF file";
constexpr size_t kMaxListed = 8;

bool is_regular(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

bool is_safetensors(const std::string& name) { return ends_with(name, ".safetensors"); }

// Formats that hold weights but are not read.
bool is_foreign_format(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".npz" || extension == ".h5" || extension == ".onnx";
}

[[noreturn]] void fail_foreign_format(const fs::path& path) {
  fail(ErrorCode::kUnsupported, "'{}' is in a format that is not read; convert it to safetensors: {}", path.string(),
       kHolds);
}

// File names in a directory, sorted.
std::vector<std::string> list_files(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (is_regular(it->path())) names.push_back(it->path().filename().string());
  }
  if (error) fail(ErrorCode::kIo, "cannot list directory '{}': {}", directory.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// tensor -> shard, of an index whose every shard is a plain file name in the index's own directory.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const nlohmann::json document = parse_json_file(path.string(), kMaxIndexBytes);
  (void)JsonObject(document, path.string()).object("weight_map");
  const nlohmann::json& weights = document.at("weight_map");
  if (weights.empty())
    fail(ErrorCode::kInvalidData, "'{}': field 'weight_map' is empty; expected tensor: file", path.string());
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : weights.items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    const bool plain =
        name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos && is_weight_name(name);
    if (!plain) {
      fail(ErrorCode::kInvalidData,
           "'{}': weight_map has {} for tensor {}; expected the name of a safetensors or PyTorch file in the same "
           "directory",
           path.string(), brief(shard), brief(tensor));
    }
    shards.emplace(tensor, name);
  }
  return shards;
}

// The shards that an index names, each checked to exist and to hold the tensors that the index says.
std::vector<std::string> resolve_index(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = read_index(index);
  std::map<std::string, std::set<std::string>> present;
  std::vector<std::string> files;
  for (const auto& [tensor, shard] : weight_map) {
    if (present.count(shard) > 0) continue;
    const fs::path file = index.parent_path() / shard;
    if (!is_regular(file)) {
      fail(ErrorCode::kNotFound, "'{}' names the shard {}, which is not beside it; fetch all shards of the model",
           index.string(), brief(shard));
    }
    for (const TensorInfo& info : read_tensor_file(file.string())) present[shard].insert(info.name);
    files.push_back(file.string());
  }
  std::vector<std::string> absent;
  for (const auto& [tensor, shard] : weight_map) {
    if (present[shard].count(tensor) == 0) absent.push_back(fmt::format("{} in {}", brief(tensor), brief(shard)));
  }
  if (!absent.empty()) {
    const size_t n_more = absent.size() > kMaxListed ? absent.size() - kMaxListed : 0;
    absent.resize(absent.size() - n_more);
    fail(ErrorCode::kInvalidData, "'{}' promises tensors that are not there: {}{}", index.string(),
         fmt::join(absent, ", "), n_more > 0 ? fmt::format(" and {} more", n_more) : "");
  }
  std::sort(files.begin(), files.end());
  return files;
}

[[noreturn]] void fail_without_weights(const fs::path& directory, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (is_foreign_format(name)) fail_foreign_format(directory / name);
  }
  fail(ErrorCode::kNotFound, "'{}' has no weights: expected model.safetensors or an index of shards; {}",
       directory.string(), kHolds);
}

// The weights that a directory means when no file is named.
std::vector<std::string> default_weights(const fs::path& directory) {
  const std::vector<std::string> names = list_files(directory);
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (has(kIndexNames[0])) return resolve_index(directory / kIndexNames[0]);
  if (has("model.safetensors")) return {(directory / "model.safetensors").string()};
  if (has(kIndexNames[1])) return resolve_index(directory / kIndexNames[1]);
  std::vector<std::string> models;
  std::vector<std::string> codecs;
  for (const std::string& name : names) {
    if (is_codec_file(name)) codecs.push_back(name);
    else if (is_safetensors(name)) models.push_back(name);
  }
  if (models.empty() && has(kPytorchIndex)) return resolve_index(directory / kPytorchIndex);
  if (models.empty()) models = pytorch_candidates(names);
  if (models.empty()) models = codecs;
  if (models.empty()) fail_without_weights(directory, names);
  if (models.size() > 1) {
    fail(ErrorCode::kInvalidData, "'{}' holds several weight files ({}) and no index; name the one to use", directory.string(),
         fmt::join(models.begin(), models.begin() + static_cast<std::ptrdiff_t>(std::min(models.size(), kMaxListed)),
                   ", "));
  }
  return {(directory / models.front()).string()};
}

// A shard stands for its whole set.
std::vector<std::string> weights_of_file(const fs::path& file) {
  for (const char* name : kIndexNames) {
    const fs::path index = file.parent_path() / name;
    if (!is_regular(index)) continue;
    for (const auto& [tensor, shard] : read_index(index)) {
      if (shard == file.filename().string()) return resolve_index(index);
    }
  }
  return {file.string()};
}

// A language model whose files hold no codec needs one beside it, as the original checkpoint does.
void add_codec_file(const fs::path& directory, std::vector<std::string>& weights) {
  bool has_language_model = false;
  for (const std::string& file : weights) {
    for (const TensorInfo& tensor : read_tensor_file(file)) {
      const std::string name = canonical_name(tensor.name).name;
      if (is_codec_name(name)) return;
      has_language_model = has_language_model || is_language_model_name(name);
    }
  }
  if (!has_language_model) return;
  std::vector<std::string> codecs;
  for (const std::string& name : list_files(directory)) {
    if (is_codec_file(name)) codecs.push_back(name);
  }
  if (codecs.empty()) {
    fail(ErrorCode::kNotFound,
         "'{}' holds a language model without its codec, and there is no Mimi file beside it; put "
         "tokenizer-*.safetensors (kyutai's Mimi), mimi*.safetensors or mimi*.pt into '{}'",
         weights.front(), directory.string());
  }
  if (codecs.size() > 1) {
    fail(ErrorCode::kInvalidData, "'{}' holds several Mimi files ({}); keep one", directory.string(),
         fmt::join(codecs, ", "));
  }
  weights.push_back((directory / codecs.front()).string());
}

std::vector<std::string> choose_weights(const fs::path& path, const fs::path& directory) {
  const std::string name = path.filename().string();
  const bool named = !is_folder(path);
  // kyutai's file beside a language model is only a part of that model.
  if (named && is_weight_name(name) && !is_codec_file(name)) return weights_of_file(path);
  if (named && is_index_name(name)) return resolve_index(path);
  return default_weights(directory);
}

// A GGUF file itself, or a directory whose weights are in GGUF files only.
bool means_gguf(const fs::path& path, const std::vector<std::string>& names) {
  if (is_gguf_name(path.filename().string()) && !is_folder(path)) return true;
  return is_folder(path) && std::none_of(names.begin(), names.end(), is_safetensors) &&
         std::any_of(names.begin(), names.end(), is_gguf_name);
}

std::string optional_file(const fs::path& directory, const char* name) {
  const fs::path path = directory / name;
  return is_regular(path) ? path.string() : "";
}

}  // namespace

ModelFiles find_model_files(const std::string& path) {
  const fs::path given(path);
  if (path.empty() || (!is_regular(given) && !is_folder(given))) {
    fail(ErrorCode::kNotFound,
         "model '{}' does not exist or cannot be read; expected a directory or one of its files: {}", path, kHolds);
  }
  if (is_regular(given) && is_foreign_format(given)) fail_foreign_format(given);
  fs::path directory = is_folder(given) ? given : given.parent_path();
  if (directory.empty()) directory = ".";
  if (is_regular(given) && !is_weight_name(given.filename().string()) && given.extension() != ".json" &&
      given.extension() != ".gguf" && !is_tokenizer_model(path)) {
    fail(ErrorCode::kInvalidArgument, "'{}' is not a file of a model: {}", path, kHolds);
  }
  ModelFiles files;
  files.directory = directory.string();
  const std::vector<std::string> names = list_files(directory);
  if (means_gguf(given, names)) {
    find_gguf_model(path, names, files);
    return files;
  }
  files.config = optional_file(directory, "config.json");
  if (files.config.empty()) {
    const bool has_weights = std::any_of(names.begin(), names.end(), [](const auto& n) { return is_weight_name(n); });
    const auto foreign = std::find_if(names.begin(), names.end(), [](const auto& n) { return is_foreign_format(n); });
    if (!has_weights && foreign != names.end()) fail_foreign_format(directory / *foreign);
    fail(ErrorCode::kNotFound, "'{}' has no config.json, so it is not a model: {}", directory.string(), kHolds);
  }
  files.weights = choose_weights(given, directory);
  add_codec_file(directory, files.weights);
  files.generation_config = optional_file(directory, "generation_config.json");
  files.tokenizer = find_tokenizer(files.directory);
  return files;
}

std::string find_tokenizer(const std::string& directory) {
  const std::string json = optional_file(directory, "tokenizer.json");
  return json.empty() ? optional_file(directory, "tokenizer.model") : json;
}

std::vector<TensorInfo> read_weight_file(const std::string& path) {
  return read_tensor_file(path);
}

std::shared_ptr<const Checkpoint> load_checkpoint(const ModelFiles& files, WeightCheck check) {
  if (!files.gguf.empty()) return load_gguf_checkpoint(files, check);
  ModelSpec spec = parse_model_spec(parse_json_file(files.config, kMaxConfigBytes), files.config);
  if (!files.generation_config.empty()) {
    apply_generation_config(spec, parse_json_file(files.generation_config, kMaxConfigBytes), files.generation_config);
  }
  std::vector<TensorInfo> tensors;
  for (const std::string& file : files.weights) {
    for (TensorInfo& tensor : read_tensor_file(file)) tensors.push_back(std::move(tensor));
  }
  return Checkpoint::create(std::move(spec), std::move(tensors),
                            files.weights.size() == 1 ? files.weights.front() : files.directory, check);
}

std::unique_ptr<Tokenizer> load_tokenizer(const ModelFiles& files) {
  if (files.tokenizer.empty()) {
    fail(ErrorCode::kNotFound, "'{}' has no tokenizer.json or tokenizer.model, which turns text into tokens; {}", files.directory, kHolds);
  }
  const bool in_gguf = !files.gguf.empty();
  const ModelSpec spec =
      in_gguf ? read_gguf_spec(files) : parse_model_spec(parse_json_file(files.config, kMaxConfigBytes), files.config);
  const int n_rows = spec.has_language_model ? spec.text_vocab : kMaxTokenId + 1;
  std::unique_ptr<Tokenizer> tokenizer =
      in_gguf ? load_gguf_tokenizer(files, n_rows) : Tokenizer::load(files.tokenizer, n_rows);
  if (spec.has_language_model && tokenizer->n_ids() > spec.text_vocab) {
    fail(ErrorCode::kInvalidData,
         "'{}' has ids up to {}, but the model's text table has {} rows (text_vocab_size); it belongs to "
         "another model",
         files.tokenizer, tokenizer->n_ids() - 1, spec.text_vocab);
  }
  return tokenizer;
}

}  // namespace csm
