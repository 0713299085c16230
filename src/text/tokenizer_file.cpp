#include "text/tokenizer_file.h"

#include <algorithm>

#include "base/fail.h"
#include "io/json.h"

namespace csm {
namespace {

using nlohmann::json;

// The value of a key, null when the key is absent.
const json& value_of(const json& object, const char* key) {
  static const json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

const json& need_array(const json& object, const char* key, const std::string& where, const std::string& path) {
  const json& value = value_of(object, key);
  if (!value.is_array()) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be an array; found {}", where, path, brief(value));
  }
  return value;
}

[[noreturn]] void unsupported(const std::string& where, const std::string& field, const std::string& expected,
                              const json& found) {
  fail(ErrorCode::kUnsupported,
       "'{}': field '{}' must be {}; found {}; only byte-level BPE tokenizers as Llama 3's can be used", where, field,
       expected, brief(found));
}

int32_t checked_id(const json& value, const std::string& token, const std::string& where) {
  const bool in_range = value.is_number_integer() && value >= 0 && value <= kMaxTokenId;
  if (!in_range) {
    fail(ErrorCode::kInvalidData, "'{}': token {} has id {}; expected an integer in 0..{}", where, brief(json(token)),
         brief(value), kMaxTokenId);
  }
  return value.get<int32_t>();
}

// Every id belongs to one token; a token that was added may also be in the vocabulary.
void name_id(int32_t id, std::string_view token, TokenizerParts& parts, const std::string& where) {
  const auto [named, is_new] = parts.names.emplace(id, token);
  if (is_new || named->second == token) return;
  fail(ErrorCode::kInvalidData, "'{}': the tokens {} and {} have the same id {}; ids must be unique", where,
       brief(json(named->second)), brief(json(token)), id);
}

BytePairs::Vocabulary read_vocabulary(const json& model, const std::string& where) {
  const json& vocab = value_of(model, "vocab");
  if (!vocab.is_object() || vocab.empty()) {
    fail(ErrorCode::kInvalidData, "'{}': field 'model.vocab' must be an object of token: id; found {}", where,
         brief(vocab));
  }
  BytePairs::Vocabulary vocabulary;
  vocabulary.reserve(vocab.size());
  for (const auto& [token, value] : vocab.items()) vocabulary.emplace(token, checked_id(value, token, where));
  return vocabulary;
}

// Both forms: "a b" and ["a", "b"].
std::pair<std::string, std::string> merge_parts(const json& merge, size_t index, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  fail(ErrorCode::kInvalidData, "'{}': 'model.merges[{}]' must be two tokens, as \"a b\" or [\"a\", \"b\"]; found {}",
       where, index, brief(merge));
}

void read_merges(const json& model, BytePairs& pairs, const std::string& where) {
  const json& merges = need_array(model, "merges", where, "model.merges");
  for (size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    // The first line of a merges.txt, kept by some converters.
    if (merge.is_string() && merge.get_ref<const std::string&>().rfind("#version", 0) == 0) continue;
    const auto [left, right] = merge_parts(merge, i, where);
    if (!pairs.add_merge(left, right)) {
      fail(ErrorCode::kInvalidData,
           "'{}': 'model.merges[{}]' joins {} and {}, but one of them or the result is not in 'model.vocab'", where, i,
           brief(json(left)), brief(json(right)));
    }
  }
}

// What only other kinds of BPE have. Empty strings count as absent, as in tokenizers.
void check_plain_byte_level(const json& model, const std::string& where) {
  const json& type = value_of(model, "type");
  const bool old_form =
      type.is_null() && model.contains("merges");  // files before the field 'type' are BPE with merges
  if (type != "BPE" && !old_form) unsupported(where, "model.type", "\"BPE\"", type);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = value_of(model, key);
    const bool blank = value.is_string() && value.get_ref<const std::string&>().empty();
    if (!value.is_null() && !blank) unsupported(where, fmt::format("model.{}", key), "null", value);
  }
  const json& dropout = value_of(model, "dropout");
  if (!dropout.is_null() && dropout != 0) unsupported(where, "model.dropout", "null", dropout);
  const json& fallback = value_of(model, "byte_fallback");
  if (!fallback.is_null() && fallback != false) unsupported(where, "model.byte_fallback", "false", fallback);
}

void read_model(const json& document, TokenizerParts& parts, const std::string& where) {
  const JsonObject fields = JsonObject(document, where).object("model");
  const json& model = document.at("model");
  check_plain_byte_level(model, where);
  parts.pairs = std::make_unique<BytePairs>(read_vocabulary(model, where), fields.boolean_or("ignore_merges", false));
  parts.names.reserve(parts.pairs->vocabulary().size());
  for (const auto& [token, id] : parts.pairs->vocabulary()) name_id(id, token, parts, where);
  read_merges(model, *parts.pairs, where);
}

// Reads one entry of added_tokens. tokenizers numbers tokens that the vocabulary lacks by itself, from next_id on,
// whatever the file says; a file that disagrees would be read in two ways, so it is refused.
AddedToken read_added_token(const json& entry, const TokenizerParts& parts, int32_t next_id, size_t index,
                            const std::string& where) {
  const JsonObject fields(entry, where, fmt::format("added_tokens[{}]", index));
  AddedToken token;
  token.content = fields.text("content");
  token.id = checked_id(value_of(entry, "id"), token.content, where);
  token.strips_left = fields.boolean_or("lstrip", false);
  token.strips_right = fields.boolean_or("rstrip", false);
  token.normalized = fields.boolean_or("normalized", false);
  if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be 1..{} bytes long; found {}", where,
         fields.path_of("content"), kMaxAddedTokenBytes, token.content.size());
  }
  if (fields.boolean_or("single_word", false)) unsupported(where, fields.path_of("single_word"), "false", true);
  if (parts.added_ids.count(token.content) > 0) {
    fail(ErrorCode::kInvalidData, "'{}': the added token {} is there twice; keep one", where,
         brief(json(token.content)));
  }
  const auto known = parts.pairs->vocabulary().find(token.content);
  const int32_t expected = known != parts.pairs->vocabulary().end() ? known->second : next_id;
  if (token.id != expected) {
    fail(ErrorCode::kInvalidData,
         "'{}': the added token {} has id {}; expected {}: ids of added tokens are those of 'model.vocab' or "
         "go on without a gap after it",
         where, brief(json(token.content)), token.id, expected);
  }
  return token;
}

void read_added_tokens(const json& document, TokenizerParts& parts, const std::string& where) {
  if (value_of(document, "added_tokens").is_null()) return;
  const json& list = need_array(document, "added_tokens", where, "added_tokens");
  auto next_id = static_cast<int32_t>(parts.pairs->vocabulary().size());
  for (size_t i = 0; i < list.size(); ++i) {
    AddedToken token = read_added_token(list[i], parts, next_id, i, where);
    next_id = std::max(next_id, token.id + 1);
    const auto added = parts.added_ids.emplace(token.content, token.id).first;
    name_id(token.id, added->first, parts, where);
    parts.added.add(std::move(token));
  }
}

// One step of the pre-tokeniser. True when it was the ByteLevel step, which comes last.
bool read_pre_tokenizer_step(const json& step, TokenizerParts& parts, const std::string& where,
                             const std::string& path) {
  const JsonObject fields(step, where, path);
  const std::string type = fields.text_or("type", "");
  if (type == "ByteLevel") {
    // The defaults of tokenizers, which are not those of Llama 3.
    if (fields.boolean_or("add_prefix_space", true))
      unsupported(where, fields.path_of("add_prefix_space"), "false", true);
    if (fields.boolean_or("use_regex", true)) parts.splitters.push_back(make_gpt2_splitter());
    return true;
  }
  if (type != "Split") unsupported(where, fields.path_of("type"), "\"Split\" or \"ByteLevel\"", value_of(step, "type"));
  const std::string behavior = fields.text("behavior");
  if (behavior != "Isolated") unsupported(where, fields.path_of("behavior"), "\"Isolated\"", behavior);
  const JsonObject pattern = fields.object("pattern");
  if (!pattern.has("Regex")) unsupported(where, fields.path_of("pattern"), "{\"Regex\": ...}", step.at("pattern"));
  parts.splitters.push_back(make_splitter(pattern.text("Regex"), where));
  return false;
}

void read_pre_tokenizer(const json& document, TokenizerParts& parts, const std::string& where) {
  const json& root = value_of(document, "pre_tokenizer");
  if (!root.is_object()) unsupported(where, "pre_tokenizer", "Split and ByteLevel steps", root);
  std::vector<const json*> steps = {&root};
  if (value_of(root, "type") == "Sequence") {
    steps.clear();
    for (const json& step : need_array(root, "pretokenizers", where, "pre_tokenizer.pretokenizers"))
      steps.push_back(&step);
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool byte_level = read_pre_tokenizer_step(*steps[i], parts, where, fmt::format("pre_tokenizer[{}]", i));
    const bool last = i + 1 == steps.size();
    if (byte_level != last) {
      fail(ErrorCode::kUnsupported,
           "'{}': the pre-tokenizer must end with its only ByteLevel step; found {} step {} of {}", where,
           byte_level ? "it as" : "another kind as", i + 1, steps.size());
    }
  }
  if (steps.empty()) unsupported(where, "pre_tokenizer.pretokenizers", "Split and ByteLevel steps", json::array());
}

// The ids of a special token of the template.
void append_special(const json& item, const json& processor, const TokenizerParts& parts, std::vector<int32_t>& ids,
                    const std::string& where) {
  const json& name = value_of(item, "id");
  const json& specials = value_of(processor, "special_tokens");
  const json& special =
      name.is_string() && specials.is_object() ? value_of(specials, name.get_ref<const std::string&>().c_str()) : name;
  if (!special.is_object()) {
    fail(ErrorCode::kInvalidData, "'{}': the post-processor's template names {}, which its 'special_tokens' lack",
         where, brief(name));
  }
  for (const json& id : need_array(special, "ids", where, "post_processor.special_tokens.ids")) {
    ids.push_back(checked_id(id, brief(name), where));
    if (parts.names.count(ids.back()) == 0) {
      fail(ErrorCode::kInvalidData, "'{}': the post-processor adds id {} for {}, but no token has it", where,
           ids.back(), brief(name));
    }
  }
}

void read_template(const json& processor, TokenizerParts& parts, const std::string& where) {
  int n_texts = 0;
  for (const json& item : need_array(processor, "single", where, "post_processor.single")) {
    const json& special = value_of(item, "SpecialToken");
    const json& sequence = value_of(item, "Sequence");
    if (special.is_object()) {
      append_special(special, processor, parts, n_texts == 0 ? parts.prefix : parts.suffix, where);
    } else if (sequence.is_object() && value_of(sequence, "id") == "A") {
      ++n_texts;
    } else {
      unsupported(where, "post_processor.single", "special tokens and the sequence A", item);
    }
  }
  if (n_texts != 1) {
    fail(ErrorCode::kUnsupported,
         "'{}': field 'post_processor.single' must have the text (sequence A) once; found it {} times", where, n_texts);
  }
}

void read_post_processor(const json& document, TokenizerParts& parts, const std::string& where) {
  const json& root = value_of(document, "post_processor");
  if (root.is_null()) return;
  if (!root.is_object()) unsupported(where, "post_processor", "null, ByteLevel or TemplateProcessing", root);
  std::vector<const json*> processors = {&root};
  if (value_of(root, "type") == "Sequence") {
    processors.clear();
    for (const json& step : need_array(root, "processors", where, "post_processor.processors"))
      processors.push_back(&step);
  }
  int n_templates = 0;
  for (const json* processor : processors) {
    const json& type = processor->is_object() ? value_of(*processor, "type") : *processor;
    if (type == "ByteLevel") continue;  // it only moves offsets, which nobody asks for
    if (type != "TemplateProcessing")
      unsupported(where, "post_processor.type", "\"TemplateProcessing\" or \"ByteLevel\"", type);
    if (++n_templates > 1) unsupported(where, "post_processor", "at most one template", root);
    read_template(*processor, parts, where);
  }
}

}  // namespace

TokenizerParts read_tokenizer_parts(std::string_view text, const std::string& where) {
  const json document = parse_json(text, where);
  const JsonObject fields(document, where);
  const json& normalizer = value_of(document, "normalizer");
  if (!normalizer.is_null()) {
    unsupported(where, "normalizer", "null", normalizer.is_object() ? value_of(normalizer, "type") : normalizer);
  }
  if (fields.text_or("version", "1.0") != "1.0")
    unsupported(where, "version", "\"1.0\"", value_of(document, "version"));
  TokenizerParts parts;
  read_model(document, parts, where);
  read_added_tokens(document, parts, where);
  read_pre_tokenizer(document, parts, where);
  read_post_processor(document, parts, where);
  return parts;
}

}  // namespace csm
