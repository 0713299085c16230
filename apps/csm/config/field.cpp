#include "config/field.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "flags.h"

namespace csm::app {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// A decimal number and nothing else: no blanks, no hexadecimal, no "inf" or "nan".
std::optional<double> number_in(const std::string& text) {
  if (text.empty() || text.find_first_not_of("+-.0123456789eE") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool is_whole(const std::string& text) {
  const size_t begin = !text.empty() && text[0] == '-' ? 1 : 0;
  return text.size() > begin && text.find_first_not_of("0123456789", begin) == std::string::npos;
}

bool in_range(const Range& range, double value) {
  const bool enough = range.least_excluded ? value > range.least : value >= range.least;
  const bool little = range.greatest_excluded ? value < range.greatest : value <= range.greatest;
  return enough && little;
}

std::string range_text(const Range& range, const std::string& greatest_of_type) {
  std::string text;
  if (std::isfinite(range.least)) text += fmt::format(" {} {}", range.least_excluded ? "above" : "from", range.least);
  if (std::isfinite(range.greatest)) {
    text += fmt::format(" {} {}", range.greatest_excluded ? "to below" : "to", range.greatest);
  } else if (!greatest_of_type.empty()) {
    text += " to " + greatest_of_type;
  }
  return text;
}

[[noreturn]] void refuse(const Field& field, const std::string& text, const std::string& where) {
  const auto near = field.choices.empty() ? std::nullopt : nearest(lower(text), field.choices);
  throw UsageError(fmt::format("{}: expected {}, found '{}'{}", where, field.expectation(), text,
                               near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

std::optional<std::string> switch_value(const std::string& text) {
  for (const char* word : {"true", "yes", "on", "1"}) {
    if (lower(text) == word) return "true";
  }
  for (const char* word : {"false", "no", "off", "0"}) {
    if (lower(text) == word) return "false";
  }
  return std::nullopt;
}

std::optional<std::string> choice_value(const Field& field, const std::string& text) {
  for (const std::string& choice : field.choices) {
    if (lower(choice) == lower(text)) return choice;
  }
  return std::nullopt;
}

// Nullopt when the kind, range or choices do not take it.
std::optional<std::string> accepted(const Field& field, const std::string& text) {
  switch (field.binding.kind) {
    case FieldKind::kSwitch:
      return switch_value(text);
    case FieldKind::kWhole:
    case FieldKind::kNumber: {
      const std::optional<double> value = number_in(text);
      const bool good = value && in_range(field.range, *value) &&
                        (field.binding.kind == FieldKind::kNumber || is_whole(text));
      return good ? std::optional<std::string>(text) : std::nullopt;
    }
    case FieldKind::kText:
      return field.choices.empty() ? text : choice_value(field, text);
    case FieldKind::kList:
      return text;
  }
  return std::nullopt;
}

std::string upper_with_underscores(std::string name) {
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

std::string Field::flag_name(const std::string& command) const {
  // csm config takes all fields, so there each has the name that no other has.
  return flag.empty() || command == "config" ? "--" + name : flag;
}

std::string Field::variable() const { return "CSM_" + upper_with_underscores(name); }

std::string Field::short_key() const {
  const std::string repeated = section + "-";
  return name.compare(0, repeated.size(), repeated) == 0 ? name.substr(repeated.size()) : name;
}

std::string Field::key() const { return section + "." + short_key(); }

bool Field::taken_by(const std::string& command) const {
  return command == "config" || std::find(commands.begin(), commands.end(), command) != commands.end();
}

std::string Field::expectation() const {
  switch (binding.kind) {
    case FieldKind::kSwitch:
      return "true or false";
    case FieldKind::kWhole:
      return "a whole number" + range_text(range, binding.greatest);
    case FieldKind::kNumber:
      return "a number" + range_text(range, "");
    case FieldKind::kText:
      return choices.empty() ? "a text" : fmt::format("one of {}", fmt::join(choices, ", "));
    case FieldKind::kList:
      return "a list of texts";
  }
  return "";
}

std::string Field::default_text() const {
  if (fallback) return *fallback;
  const std::string value = binding.get(Settings()).value_or("");
  return value.empty() ? unset : value;
}

std::string checked_value(const Field& field, const std::string& text, const std::string& where) {
  const std::optional<std::string> value = accepted(field, text);
  if (!value) refuse(field, text, where);
  try {
    if (field.check) field.check(*value);
    Settings scratch;
    field.binding.set(scratch, *value);
  } catch (const std::out_of_range&) {
    refuse(field, text, where);
  } catch (const Error& error) {
    throw UsageError(where + ": " + error.what());
  }
  return *value;
}

namespace detail {

void parse(const std::string& text, bool& value) { value = text == "true"; }
void parse(const std::string& text, int& value) { value = std::stoi(text); }
void parse(const std::string& text, uint64_t& value) { value = std::stoull(text); }
void parse(const std::string& text, double& value) { value = std::strtod(text.c_str(), nullptr); }
void parse(const std::string& text, float& value) { value = std::strtof(text.c_str(), nullptr); }
void parse(const std::string& text, std::string& value) { value = text; }

void parse(const std::string& text, std::vector<std::string>& value) {
  value.clear();
  for (size_t begin = 0; !text.empty() && begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    value.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string print(bool value) { return value ? "true" : "false"; }
std::string print(int value) { return std::to_string(value); }
std::string print(uint64_t value) { return std::to_string(value); }
std::string print(float value) { return fmt::format("{}", value); }
std::string print(double value) { return fmt::format("{}", value); }
std::string print(const std::string& value) { return value; }
std::string print(const std::vector<std::string>& value) { return fmt::format("{}", fmt::join(value, ",")); }

}  // namespace detail
}  // namespace csm::app
