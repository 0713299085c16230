#include "engine/gguf_vocabulary.h"

#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "io/json.h"

namespace csm {
namespace {

using nlohmann::json;

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr int64_t kControl = 3;      // token types of the format: markers that text is searched for
constexpr int64_t kUserDefined = 4;
constexpr int kMaxId = 1 << 24;

// Byte-level BPE as Llama 3 splits text.
constexpr const char* kSkeleton = R"json({
  "version": "1.0", "normalizer": null,
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": true}})json";

void check_kind(const GgufFile& file) {
  const std::string_view model = file.text("tokenizer.ggml.model");
  const GgufValue* pre = file.find("tokenizer.ggml.pre");
  const std::string_view splitting = pre != nullptr ? pre->text().value_or("") : "";
  if (model == "gpt2" && (splitting == "llama-bpe" || splitting == "llama3" || splitting == "llama-v3")) return;
  fail(ErrorCode::kUnsupported, "'{}' has a vocabulary of model '{}' with splitting '{}'; expected 'gpt2' with 'llama-bpe'; put the model's "
       "tokenizer.json beside it", file.where, model, splitting);
}

json special_token(const std::string& name) { return {{"SpecialToken", {{"id", name}, {"type_id", 0}}}}; }

// What stands around a text: BOS and EOS, where the file names them.
json post_processor(const GgufFile& file, const std::vector<std::string_view>& tokens) {
  json single = json::array();
  json known = json::object();
  const auto add = [&](const char* key) {
    if (file.find(key) == nullptr) return;
    const int id = file.integer(key, 0, static_cast<int>(tokens.size()) - 1);
    const std::string name(tokens[static_cast<size_t>(id)]);
    single.push_back(special_token(name));
    known[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  add("tokenizer.ggml.bos_token_id");
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add("tokenizer.ggml.eos_token_id");
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", single}, {"special_tokens", known}};
}

void add_tokens(const GgufFile& file, const std::vector<std::string_view>& tokens, json& document) {
  const GgufValue* value = file.find("tokenizer.ggml.token_type");
  const std::vector<int64_t> types = value == nullptr ? std::vector<int64_t>{} : value->integers();
  json& vocabulary = document["model"]["vocab"] = json::object();
  json& added = document["added_tokens"] = json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string token(tokens[id]);
    const int64_t type = id < types.size() ? types[id] : 1;
    if (type == kControl || type == kUserDefined) {
      added.push_back({{"id", id}, {"content", token}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                       {"normalized", false}, {"special", type == kControl}});
    } else if (!vocabulary.emplace(token, id).second) {
      fail(ErrorCode::kInvalidData, "'{}': token {} appears twice in {}", file.where, id, kTokens);
    }
  }
}

}  // namespace

bool has_vocabulary(const GgufFile& file) { return file.find(kTokens) != nullptr; }

std::string tokenizer_json(const GgufFile& file) {
  check_kind(file);
  const GgufValue* merges = file.find("tokenizer.ggml.merges");
  const std::vector<std::string_view> tokens = file.find(kTokens) == nullptr ? std::vector<std::string_view>{} : file.find(kTokens)->strings();
  if (tokens.empty() || tokens.size() > kMaxId || merges == nullptr) {
    fail(ErrorCode::kInvalidData, "'{}': {} has {} tokens and tokenizer.ggml.merges {}; expected both", file.where, kTokens, tokens.size(),
         merges == nullptr ? "is absent" : merges->describe());
  }
  json document = parse_json(kSkeleton, "tokenizer skeleton");
  add_tokens(file, tokens, document);
  json& rules = document["model"]["merges"] = json::array();
  for (const std::string_view merge : merges->strings()) rules.push_back(std::string(merge));
  document["post_processor"] = post_processor(file, tokens);
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace csm
