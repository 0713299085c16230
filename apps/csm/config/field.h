// One setting of the table: its name in every source, the values that it takes, and the place that it is written to.
//
// Place in the flow: fields_*.cpp list them; flags, environment, file, help, man page, completions and
// docs/configuration.md are all made from this. Immutable once the table stands.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "config/settings.h"

namespace csm::app {

// The numbers that a field takes. from(0).to(1), above(0), from(0).below(1); unlimited where nothing is said.
struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double greatest = std::numeric_limits<double>::infinity();
  bool least_excluded = false;
  bool greatest_excluded = false;

  Range to(double bound) const { return {least, bound, least_excluded, false}; }
  Range below(double bound) const { return {least, bound, least_excluded, true}; }
};
inline Range from(double bound) { return {bound, std::numeric_limits<double>::infinity(), false, false}; }
inline Range above(double bound) { return {bound, std::numeric_limits<double>::infinity(), true, false}; }

enum class FieldKind { kSwitch, kWhole, kNumber, kText, kList };

// Where a field lives in Settings, as text: what its kind writes can be read back. Made by bind().
struct Binding {
  FieldKind kind = FieldKind::kText;
  std::string greatest = {};  // that the type holds, for whole numbers
  std::function<void(Settings&, const std::string&)> set;                // text that was checked; empty list: ""
  std::function<std::optional<std::string>(const Settings&)> get;        // nullopt: unset
  std::function<void(Settings& to, const Settings& from)> copy;          // back to the default
};

// Another flag that people type for the same thing.
struct FlagAlias {
  std::string flag;  // "--topk"
  // What it means where it is not the field's own value: "--cpu-only" has a fixed one and takes none itself; milliseconds
  // become seconds. Throws UsageError.
  std::optional<std::string> fixed = {};
  std::string type = {};
  std::function<std::string(const std::string&)> convert = {};
};

struct Field {
  std::string section = {};  // [section] of the file, and its group in help
  std::string name = {};     // --name, CSM_NAME, and the key section.name; unique in the table
  std::string flag = {};     // where it is not "--" + name
  char letter = '\0';        // "-o"
  Binding binding = {};
  Range range = {};
  std::vector<std::string> choices = {};      // closed; upper and lower case are the same
  std::vector<std::string> suggestions = {};  // open: for completions
  std::function<void(const std::string&)> check = {};  // what range and choices cannot say; throws csm::Error
  bool is_path = false;                       // "~/" is the home directory
  std::string type = {};                      // what help calls the value: "X", "FILE"
  std::string help = {};
  std::string unset = {};                     // what happens without it, where its default is not a value
  std::optional<std::string> fallback = {};   // the default of its commands, where it is not that of Settings
  std::vector<FlagAlias> aliases = {};
  std::vector<std::string> instead_of = {};   // names of fields that it replaces, and that replace it
  std::vector<std::string> commands = {};     // "speak", "codec encode"

  std::string flag_name(const std::string& command) const;
  std::string variable() const;  // CSM_NAME
  std::string key() const;       // section.name; what the name repeats of the section is left out
  std::string short_key() const;  // the key within its section
  bool taken_by(const std::string& command) const;
  std::string expectation() const;   // "a number from 0 to 1"
  std::string default_text() const;  // a value, or `unset`; "" when there is nothing to say
};

// Checks a text against the kind, range, choices and check of a field, and returns it as it is stored (choices in their own
// spelling, switches as true or false). Throws UsageError: "WHERE: expected ..., found '...'".
std::string checked_value(const Field& field, const std::string& text, const std::string& where);

// The way into Settings. `at` maps Settings& to the member: bool, a number, std::string, a list of strings, or an optional of
// these; what the member is decides the kind.
template <typename At>
Binding bind(At at);

namespace detail {

template <typename T>
struct Unwrapped {
  using type = T;
};
template <typename T>
struct Unwrapped<std::optional<T>> {
  using type = T;
};

template <typename T>
constexpr FieldKind kind_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return FieldKind::kSwitch;
  } else if constexpr (std::is_integral_v<T>) {
    return FieldKind::kWhole;
  } else if constexpr (std::is_floating_point_v<T>) {
    return FieldKind::kNumber;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return FieldKind::kText;
  } else {
    static_assert(std::is_same_v<T, std::vector<std::string>>, "a field is a bool, number, string or list of strings");
    return FieldKind::kList;
  }
}

void parse(const std::string& text, bool& value);
void parse(const std::string& text, int& value);
void parse(const std::string& text, uint64_t& value);
void parse(const std::string& text, float& value);
void parse(const std::string& text, double& value);
void parse(const std::string& text, std::string& value);
void parse(const std::string& text, std::vector<std::string>& value);
std::string print(bool value);
std::string print(int value);
std::string print(uint64_t value);
std::string print(float value);
std::string print(double value);
std::string print(const std::string& value);
std::string print(const std::vector<std::string>& value);

template <typename T>
std::optional<std::string> print_member(const T& member) {
  return print(member);
}
template <typename T>
std::optional<std::string> print_member(const std::optional<T>& member) {
  return member ? std::optional<std::string>(print(*member)) : std::nullopt;
}

}  // namespace detail

template <typename At>
Binding bind(At at) {
  using Member = std::remove_reference_t<decltype(at(std::declval<Settings&>()))>;
  using T = typename detail::Unwrapped<Member>::type;
  // The accessor takes Settings& and is only read through here.
  const auto read = [at](const Settings& settings) -> const Member& { return at(const_cast<Settings&>(settings)); };
  Binding binding;
  binding.kind = detail::kind_of<T>();
  if constexpr (detail::kind_of<T>() == FieldKind::kWhole) {
    binding.greatest = std::to_string(std::numeric_limits<T>::max());
  }
  binding.set = [at](Settings& settings, const std::string& text) {
    T value{};
    detail::parse(text, value);
    at(settings) = std::move(value);
  };
  binding.get = [read](const Settings& settings) { return detail::print_member(read(settings)); };
  binding.copy = [at, read](Settings& to, const Settings& from) { at(to) = read(from); };
  return binding;
}

}  // namespace csm::app
