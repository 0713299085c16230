// The JSON edge: text -> checked document -> typed fields. No other file of the library calls nlohmann's parser.
//
// Place in the flow: configuration files, safetensors headers and tokenizer files pass here first. Stateless; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

inline constexpr int kMaxJsonDepth = 64;

// Parses one document. `where` (a path) opens every message. Errors: kInvalidData with line:column for empty text, invalid
// UTF-8, syntax, nesting deeper than kMaxJsonDepth, numbers beyond double, the same key twice in an object.
nlohmann::json parse_json(std::string_view text, const std::string& where);

// Reads and parses a file of at most max_bytes. Errors: those of read_text_file and parse_json.
nlohmann::json parse_json_file(const std::string& path, uint64_t max_bytes);

// One object of a document with the dotted path that led to it, so that every error names the field in full. null counts
// as absent. Borrows the document. All getters throw kInvalidData: a wrong type, a value out of [min, max], a missing field.
class JsonObject {
 public:
  // Throws kInvalidData when value is not an object.
  JsonObject(const nlohmann::json& value, std::string where, std::string path = "");

  bool has(const char* key) const { return find(key) != nullptr; }

  int integer(const char* key, int min, int max) const;  // no fractions, no booleans
  int integer_or(const char* key, int min, int max, int fallback) const;
  double number(const char* key, double min, double max) const;  // finite
  double number_or(const char* key, double min, double max, double fallback) const;
  bool boolean_or(const char* key, bool fallback) const;
  std::string text(const char* key) const;
  std::string text_or(const char* key, const std::string& fallback) const;
  std::vector<int> integers(const char* key, int min, int max, int max_count) const;  // at least one
  JsonObject object(const char* key) const;

  std::string path_of(const char* key) const;  // "depth_decoder_config.hidden_size"
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json* find(const char* key) const;                              // null when absent
  const nlohmann::json& need(const char* key, const std::string& expected) const;  // throws when absent

  const nlohmann::json* value_;
  std::string where_;
  std::string path_;
};

// A value in a message: its JSON text, shortened.
std::string brief(const nlohmann::json& value);

}  // namespace csm
