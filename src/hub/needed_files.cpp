#include "hub/needed_files.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/fail.h"
#include "hub/names.h"
#include "io/gguf.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "model/tensor_names.h"
#include "model/weight_files.h"

namespace csm {
namespace {

constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 20;
constexpr size_t kMaxShards = 1000;
constexpr size_t kMaxListed = 8;
constexpr const char* kTokenizers[] = {"tokenizer.json", "tokenizer.model"};  // the first one that is there
// SilentCipher's repository holds these for 44.1 kHz; the last one is for reading marks.
constexpr const char* kSilentCipherFiles[] = {"44_1_khz/73999_iteration/enc_c.ckpt", "44_1_khz/73999_iteration/dec_c.ckpt",
                                              "44_1_khz/73999_iteration/dec_m_0.ckpt"};
constexpr const char* kTransformersIndex = "transformers.safetensors.index.json";
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
// Of several sizes of one model: small, and next to exact.
constexpr const char* kGgufTypes[] = {"q8_0", "bf16", "f16", "q6_k", "q5_k", "q4_k", "q4_0", "f32"};

using Names = std::vector<std::string>;

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

// Files in the repository's own folder that end like this.
Names at_top(const Names& names, std::string_view ending) {
  Names found;
  for (const std::string& name : names) {
    if (name.find('/') == std::string::npos && ends_with(lower(name), ending)) found.push_back(name);
  }
  return found;
}

std::string listed(Names names) {
  const size_t n_more = names.size() > kMaxListed ? names.size() - kMaxListed : 0;
  names.resize(names.size() - n_more);
  return fmt::format("{}{}", fmt::join(names, ", "), n_more > 0 ? fmt::format(" and {} more", n_more) : "");
}

// The preferred one of several types of one thing.
std::string choose_gguf(const Names& files, const std::string& where) {
  if (files.size() == 1) return files.front();
  for (const char* type : kGgufTypes) {
    for (const std::string& file : files) {
      if (lower(file).find(type) != std::string::npos) return file;
    }
  }
  fail(ErrorCode::kInvalidArgument, "model '{}' holds several GGUF files ({}); name one: {}/{}", where, listed(files),
       where, files.front());
}

// One file that holds everything, or the published set of three: backbone, decoder and Mimi.
Names choose_ggufs(const Names& files, const std::string& where) {
  Names backbones, decoders, codecs, whole;
  for (const std::string& file : files) {
    const std::string name = lower(file);
    const auto says = [&](const char* word) { return name.find(word) != std::string::npos; };
    (says("backbone") ? backbones : says("mimi") ? codecs : says("decoder") ? decoders : whole).push_back(file);
  }
  if (backbones.empty() || decoders.empty() || codecs.empty()) return {choose_gguf(files, where)};
  return {choose_gguf(backbones, where), choose_gguf(decoders, where), choose_gguf(codecs, where)};
}

void choose_weights(const Names& names, const std::string& where, NeededFiles& needed) {
  if (contains(names, kTransformersIndex)) {
    needed.index = kTransformersIndex;
    return;
  }
  if (contains(names, kSingle)) {
    needed.weights = {kSingle};
    return;
  }
  if (contains(names, kIndex)) {
    needed.index = kIndex;
    return;
  }
  Names models, codecs;
  for (const std::string& name : at_top(names, "")) {
    if (is_codec_file(name)) codecs.push_back(name);
    else if (ends_with(name, ".safetensors")) models.push_back(name);
  }
  if (models.empty()) models = at_top(names, ".gguf");
  if (!models.empty() && ends_with(lower(models.front()), ".gguf")) {
    needed.weights = choose_ggufs(models, where);
    return;
  }
  if (models.empty() && contains(names, kPytorchIndex)) {
    needed.index = kPytorchIndex;
    return;
  }
  if (models.empty()) models = pytorch_candidates(at_top(names, ""));
  if (models.empty()) models = codecs;
  if (models.empty()) {
    fail(ErrorCode::kUnsupported, "model '{}' holds no weights that csm reads (safetensors, GGUF or .pt), only {}",
         where, names.empty() ? "nothing" : listed(names));
  }
  if (models.size() > 1) {
    fail(ErrorCode::kInvalidArgument, "model '{}' holds several sets of weights ({}); name one: {}/{}", where,
         listed(models), where, models.front());
  }
  needed.weights = models;
}

// A named shard stands for its whole set, which the loader finds through the index beside it.
void use_named(const Names& names, const std::string& named, const std::string& where, NeededFiles& needed) {
  if (!contains(names, named)) {
    fail(ErrorCode::kNotFound, "model '{}' has no file '{}'{}", where, named, did_you_mean(named, names));
  }
  if (is_index_name(named)) {
    needed.index = named;
  } else {
    needed.weights = {named};
  }
}

}  // namespace

NeededFiles choose_files(const std::vector<std::string>& names, const std::string& named, const std::string& where) {
  NeededFiles needed;
  if (named.empty() && contains(names, kSilentCipherFiles[0])) {
    needed.is_model = false;
    for (const char* file : kSilentCipherFiles) {
      if (contains(names, file)) needed.weights.emplace_back(file);
    }
    return needed;
  }
  if (named.empty()) {
    choose_weights(names, where, needed);
  } else {
    use_named(names, named, where, needed);
  }
  for (const char* name : {"config.json", "generation_config.json"}) {
    (contains(names, name) ? needed.small : needed.absent).emplace_back(name);
  }
  const bool describes_itself = !needed.weights.empty() && ends_with(lower(needed.weights.front()), ".gguf");
  if (named.empty() && !describes_itself && !contains(names, "config.json")) {
    fail(ErrorCode::kUnsupported, "model '{}' has no config.json, which says what its weights are", where);
  }
  const auto tokenizer =
      std::find_if(std::begin(kTokenizers), std::end(kTokenizers), [&](const char* n) { return contains(names, n); });
  if (tokenizer != std::end(kTokenizers)) needed.small.emplace_back(*tokenizer);
  for (const char* name : kTokenizers) {
    if (!contains(names, name)) needed.absent.emplace_back(name);
  }
  if (!needed.index.empty()) needed.small.push_back(needed.index);
  for (const std::string& name : names) {
    if (name.find('/') == std::string::npos && is_codec_file(name) && needed.codec.empty()) needed.codec = name;
  }
  return needed;
}

bool has_tokenizer(const std::vector<std::string>& names) {
  return std::any_of(std::begin(kTokenizers), std::end(kTokenizers), [&](const char* n) { return contains(names, n); });
}

std::vector<std::string> read_shards(const std::string& index_path) {
  const nlohmann::json document = parse_json_file(index_path, kMaxIndexBytes);
  (void)JsonObject(document, index_path).object("weight_map");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : document.at("weight_map").items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (name.find('/') != std::string::npos || !is_repo_file(name) || !is_weight_name(name)) {
      fail(ErrorCode::kInvalidData, "'{}': weight_map has {} for tensor {}; expected the name of a safetensors or PyTorch file",
           index_path, brief(shard), brief(tensor));
    }
    shards.insert(name);
    if (shards.size() > kMaxShards) {
      fail(ErrorCode::kInvalidData, "'{}' names more than {} shards", index_path, kMaxShards);
    }
  }
  if (shards.empty()) fail(ErrorCode::kInvalidData, "'{}': weight_map is empty; expected tensor: file", index_path);
  return {shards.begin(), shards.end()};
}

bool has_codec(const std::vector<std::string>& weight_paths) {
  for (const std::string& path : weight_paths) {
    const std::string name = lower(path);
    if (ends_with(name, ".gguf")) return true;  // ours holds all, and of the set of three one is the codec
    for (const TensorInfo& tensor : read_tensor_file(path)) {
      if (is_codec_name(canonical_name(tensor.name).name)) return true;
    }
  }
  return false;
}

bool needs_tokenizer(const std::vector<std::string>& weight_paths) {
  // The published set of three carries the vocabulary in its backbone; a file of ours carries all.
  if (!weight_paths.empty() && ends_with(lower(weight_paths.front()), ".gguf")) {
    return weight_paths.size() > 1 && read_gguf(weight_paths.front()).find("tokenizer.ggml.tokens") == nullptr;
  }
  for (const std::string& path : weight_paths) {
    for (const TensorInfo& tensor : read_tensor_file(path)) {
      if (is_language_model_name(canonical_name(tensor.name).name)) return true;
    }
  }
  return false;
}

}  // namespace csm
