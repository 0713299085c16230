#include "io/json.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/fail.h"
#include "base/utf8.h"
#include "io/file.h"

namespace csm {
namespace {

using nlohmann::json;

// "3:14": line and column (in bytes) of an offset, both from 1.
std::string position(std::string_view text, size_t offset) {
  offset = std::min(offset, text.size());
  size_t line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  }
  return fmt::format("{}:{}", line, offset - line_start + 1);
}

[[noreturn]] void fail_at(const std::string& where, std::string_view text, size_t offset, const std::string& reason) {
  fail(ErrorCode::kInvalidData, "'{}' is not valid JSON: {} at {}", where, reason, position(text, offset));
}

void check_utf8(std::string_view text, const std::string& where) {
  const size_t invalid = first_invalid_utf8(text);
  if (invalid != std::string_view::npos) fail_at(where, text, invalid, "invalid UTF-8");
}

// One pass over the brackets, before any parser may recurse on them. Returns the number of key-value pairs.
size_t check_structure(std::string_view text, const std::string& where) {
  size_t n_pairs = 0;
  int depth = 0;
  bool in_string = false;
  bool blank = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    blank = blank && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
    if (c == '"') in_string = true;
    if (c == ':') ++n_pairs;
    if (c == '\0') fail_at(where, text, i, "a NUL byte");  // the parser would take it for the end
    if (c == ']' || c == '}') --depth;
    if ((c == '[' || c == '{') && ++depth > kMaxJsonDepth) {
      fail_at(where, text, i, fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    }
  }
  if (blank) fail(ErrorCode::kInvalidData, "'{}' is not valid JSON: it is empty", where);
  return n_pairs;
}

size_t count_pairs(const json& value) {
  size_t n = value.is_object() ? value.size() : 0;
  if (value.is_structured()) {
    for (const json& child : value) n += count_pairs(child);
  }
  return n;
}

// The parser keeps the last of equal keys and says nothing. Slow, so only called once a pair is known to be lost.
[[noreturn]] void fail_duplicate_key(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys(1);
  std::string found;
  const json again = json::parse(text.begin(), text.end(), [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) found = brief(value);
    return true;
  });
  fail(ErrorCode::kInvalidData, "'{}' is ambiguous: the key {} occurs twice in one object; keep one of them", where, found);
}

// The part of the parser's message that says why: without its own prefix, position and the text it read.
std::string short_reason(std::string message) {
  const size_t dash = message.find(" - ");
  const size_t bracket = message.find("] ");
  if (dash != std::string::npos) {
    message.erase(0, dash + 3);
  } else if (bracket != std::string::npos) {
    message.erase(0, bracket + 2);
  }
  const size_t read = message.find("; last read");
  if (read != std::string::npos) message.erase(read);
  return message.substr(0, 160);
}

std::string type_name(const json& value) {
  if (value.is_number_float()) return "a number";
  if (value.is_number()) return "an integer";
  if (value.is_boolean()) return "a boolean";
  if (value.is_string()) return "a string";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return "null";
}

std::string found_text(const json& value) {
  return value.is_structured() ? type_name(value) : fmt::format("{} ({})", brief(value), type_name(value));
}

int checked_integer(const json& value, int min, int max, const std::string& where, const std::string& path) {
  const std::string expected = fmt::format("an integer in {}..{}", min, max);
  // Integers beyond 64 bits arrive as floating point: a range error, not a fraction.
  const bool whole = value.is_number_integer() || (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
  const bool written_as_float = value.is_number_float() && std::fabs(value.get<double>()) < 1e18;
  if (!whole || written_as_float) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be {}; found {}", where, path, expected, found_text(value));
  }
  const bool in_range = value.is_number_unsigned() ? max >= 0 && value.get<uint64_t>() <= static_cast<uint64_t>(max) &&
                                                         (min <= 0 || value.get<uint64_t>() >= static_cast<uint64_t>(min))
                                                   : value.is_number_integer() && value.get<int64_t>() >= min &&
                                                         value.get<int64_t>() <= max;
  if (!in_range) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' is out of range: expected {}, found {}", where, path, expected, brief(value));
  }
  return static_cast<int>(value.get<int64_t>());
}

}  // namespace

json parse_json(std::string_view text, const std::string& where) {
  check_utf8(text, where);
  const size_t n_pairs = check_structure(text, where);
  try {
    json document = json::parse(text.begin(), text.end());
    if (count_pairs(document) != n_pairs) fail_duplicate_key(text, where);
    return document;
  } catch (const json::parse_error& error) {
    fail_at(where, text, error.byte > 0 ? error.byte - 1 : 0, short_reason(error.what()));
  } catch (const json::exception& error) {
    fail(ErrorCode::kInvalidData, "'{}' is not valid JSON: {}", where, short_reason(error.what()));
  }
}

json parse_json_file(const std::string& path, uint64_t max_bytes) {
  return parse_json(read_text_file(path, max_bytes), path);
}

std::string brief(const json& value) {
  constexpr size_t kMaxBytes = 60;
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  if (value.is_object()) return fmt::format("an object of {}", value.size());
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kMaxBytes) text = text.substr(0, kMaxBytes) + "...";
  return text;
}

JsonObject::JsonObject(const json& value, std::string where, std::string path)
    : value_(&value), where_(std::move(where)), path_(std::move(path)) {
  if (value.is_object()) return;
  if (path_.empty()) fail(ErrorCode::kInvalidData, "'{}' must hold a JSON object; found {}", where_, type_name(value));
  fail(ErrorCode::kInvalidData, "'{}': field '{}' must be an object; found {}", where_, path_, found_text(value));
}

std::string JsonObject::path_of(const char* key) const { return path_.empty() ? key : path_ + "." + key; }

const json* JsonObject::find(const char* key) const {
  const auto it = value_->find(key);
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

const json& JsonObject::need(const char* key, const std::string& expected) const {
  const json* value = find(key);
  if (value == nullptr) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' is missing; expected {}", where_, path_of(key), expected);
  }
  return *value;
}

int JsonObject::integer(const char* key, int min, int max) const {
  return checked_integer(need(key, fmt::format("an integer in {}..{}", min, max)), min, max, where_, path_of(key));
}

int JsonObject::integer_or(const char* key, int min, int max, int fallback) const {
  return has(key) ? integer(key, min, max) : fallback;
}

double JsonObject::number(const char* key, double min, double max) const {
  const std::string expected = fmt::format("a number in {}..{}", min, max);
  const json& value = need(key, expected);
  if (!value.is_number()) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be {}; found {}", where_, path_of(key), expected, found_text(value));
  }
  const double number = value.get<double>();
  if (!(number >= min && number <= max)) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' is out of range: expected {}, found {}", where_, path_of(key), expected,
         brief(value));
  }
  return number;
}

double JsonObject::number_or(const char* key, double min, double max, double fallback) const {
  return has(key) ? number(key, min, max) : fallback;
}

bool JsonObject::boolean_or(const char* key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be true or false; found {}", where_, path_of(key), found_text(*value));
  }
  return value->get<bool>();
}

std::string JsonObject::text(const char* key) const {
  const json& value = need(key, "a string");
  if (!value.is_string()) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be a string; found {}", where_, path_of(key), found_text(value));
  }
  return value.get<std::string>();
}

std::string JsonObject::text_or(const char* key, const std::string& fallback) const { return has(key) ? text(key) : fallback; }

std::vector<int> JsonObject::integers(const char* key, int min, int max, int max_count) const {
  const std::string expected = fmt::format("an array of 1..{} integers in {}..{}", max_count, min, max);
  const json& value = need(key, expected);
  if (!value.is_array() || value.empty() || value.size() > static_cast<size_t>(max_count)) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be {}; found {}", where_, path_of(key), expected, brief(value));
  }
  std::vector<int> result;
  for (size_t i = 0; i < value.size(); ++i) {
    result.push_back(checked_integer(value[i], min, max, where_, fmt::format("{}[{}]", path_of(key), i)));
  }
  return result;
}

JsonObject JsonObject::object(const char* key) const { return JsonObject(need(key, "an object"), where_, path_of(key)); }

}  // namespace csm
