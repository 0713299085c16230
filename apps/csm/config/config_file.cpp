// The configuration file: TOML, checked against the table of fields (configuration.h).
//
//   [sampling]                 a section of the table
//   temperature = 0.8          a field; sampling.temperature = 0.8 outside of any section is the same, and so is the
//                              field's plain name
//   [preset.calm]              a preset: the same keys again
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <toml++/toml.h>

#include "config/configuration.h"
#include "config/fields.h"
#include "flags.h"

namespace csm::app {
namespace {

constexpr size_t kMaxFoundBytes = 60;

std::string dashed(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

bool is_section(const std::string& name) {
  return std::any_of(sections().begin(), sections().end(), [&](const Section& s) { return s.name == name; });
}

// In a section by the key there, outside by the field's own name.
const Field* field_of(const std::string& section, const std::string& key) {
  const std::string wanted = dashed(key);
  for (const Field& field : fields()) {
    if (section.empty() ? field.name == wanted : field.section == section && field.short_key() == wanted) return &field;
  }
  return nullptr;
}

// What a wrong key was perhaps meant to be; "" when nothing is near.
std::string suggested_key(const std::string& section, const std::string& key) {
  const std::string typed = dashed(key);
  std::vector<std::string> in_section, names;
  for (const Field& field : fields()) {
    if (field.name == typed || field.short_key() == typed) return field.key();
    for (const FlagAlias& alias : field.aliases) {
      if (alias.flag == "--" + typed && !alias.fixed && !alias.convert) return field.key();
    }
    if (field.section == section) in_section.push_back(field.short_key());
    names.push_back(field.name);
  }
  if (const auto near = nearest(typed, in_section)) return section + "." + *near;
  const auto near = nearest(typed, names);
  return near ? find_field(*near)->key() : "";
}

class Reader {
 public:
  explicit Reader(ConfigFile& file) : file_(file) {}

  void read_root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (name == "preset") {
        read_presets(node);
      } else {
        read_entry(name, key, node, "", file_.values);
      }
    }
  }

 private:
  // A section, or a field by its plain name; in the file's root or in a preset.
  void read_entry(const std::string& name, const toml::key& key, const toml::node& node, const std::string& prefix,
                  Assignments& values) {
    if (const toml::table* table = node.as_table(); table != nullptr && is_section(name)) {
      for (const auto& [inner_key, inner] : *table) {
        read_field(name, std::string(inner_key.str()), inner_key, inner, prefix + name + ".", values);
      }
      return;
    }
    if (node.is_table()) {
      std::vector<std::string> names = {"preset"};
      for (const Section& section : sections()) names.push_back(section.name);
      const auto near = nearest(name, names);
      fail(key, fmt::format("unknown section [{}{}]{}", prefix, name,
                            near ? fmt::format("; did you mean [{}{}]?", prefix, *near)
                                 : fmt::format("; expected one of {}", fmt::join(names, ", "))));
    }
    read_field("", name, key, node, prefix, values);
  }

  void read_field(const std::string& section, const std::string& name, const toml::key& key, const toml::node& node,
                  const std::string& prefix, Assignments& values) {
    const Field* field = field_of(section, name);
    if (field == nullptr) {
      const std::string near = suggested_key(section, name);
      fail(key, fmt::format("unknown key '{}{}'{}", prefix, name,
                            near.empty() ? "; `csm config` lists what there is" : "; did you mean '" + near + "'?"));
    }
    const auto same = [&](const Assignment& other) { return other.field == field; };
    if (std::any_of(values.begin(), values.end(), same)) {
      fail(key, fmt::format("'{}{}' is set a second time; keep one of them", prefix, name));
    }
    const std::string where = fmt::format("{}: {}{}", place(key), prefix, name);
    const std::string value = checked_value(*field, text_of(*field, node, where), where);
    const bool in_file = prefix.empty();
    values.push_back({field, value, in_file ? Layer::kFile : Layer::kPreset,
                      in_file ? place(key) : fmt::format("{}, {}", prefix.substr(0, prefix.find('.', 7)), place(key))});
  }

  void read_presets(const toml::node& node) {
    const toml::table* presets = node.as_table();
    if (presets == nullptr) {
      fail_at(node.source(), "'preset' must be a table: presets stand below [preset.NAME]; --preset or CSM_PRESET choose one");
    }
    for (const auto& [key, inner] : *presets) {
      const std::string name(key.str());
      const toml::table* values = inner.as_table();
      if (values == nullptr) fail(key, fmt::format("'preset.{}' must be a table of settings, as [preset.calm]", name));
      Preset preset;
      preset.name = name;
      for (const auto& [inner_key, value] : *values) {
        read_entry(std::string(inner_key.str()), inner_key, value, "preset." + name + ".", preset.values);
      }
      file_.presets.push_back(preset);
    }
  }

  // The value as a flag would give it; the TOML type must be that of the field.
  std::string text_of(const Field& field, const toml::node& node, const std::string& where) const {
    const FieldKind kind = field.binding.kind;
    if (kind == FieldKind::kSwitch && node.is_boolean()) return node.as_boolean()->get() ? "true" : "false";
    const bool takes_whole = kind == FieldKind::kWhole || kind == FieldKind::kNumber;
    if (takes_whole && node.is_integer()) return std::to_string(node.as_integer()->get());
    if (kind == FieldKind::kNumber && node.is_floating_point()) {
      return fmt::format("{}", node.as_floating_point()->get());
    }
    if (kind == FieldKind::kText && node.is_string()) return expanded(field, node.as_string()->get());
    if (kind == FieldKind::kList && node.is_array()) return list_of(*node.as_array(), where);
    throw UsageError(fmt::format("{}: expected {}{}, found {}", where, field.expectation(),
                                 kind == FieldKind::kText ? " in quotes" : "", found(node)));
  }

  std::string list_of(const toml::array& array, const std::string& where) const {
    std::string text;
    for (const toml::node& element : array) {
      if (!element.is_string()) throw UsageError(fmt::format("{}: expected texts in quotes, found {}", where, found(element)));
      text += (text.empty() ? "" : ",") + element.as_string()->get();
    }
    return text;
  }

  static std::string expanded(const Field& field, const std::string& text) {
    const char* home = std::getenv("HOME");
    return field.is_path && text.compare(0, 2, "~/") == 0 && home != nullptr ? home + text.substr(1) : text;
  }

  static std::string found(const toml::node& node) {
    if (node.is_table()) return "a table";
    if (node.is_array()) return "a list";
    std::string text;
    node.visit([&](const auto& value) {
      if constexpr (toml::is_string<decltype(value)>) {
        text = "\"" + value.get() + "\"";
      } else if constexpr (toml::is_integer<decltype(value)> || toml::is_floating_point<decltype(value)> ||
                           toml::is_boolean<decltype(value)>) {
        text = fmt::format("{}", value.get());
      } else {
        text = "a date or time";
      }
    });
    return text.size() > kMaxFoundBytes ? text.substr(0, kMaxFoundBytes) + "..." : text;
  }

  std::string place(const toml::key& key) const { return fmt::format("'{}' line {}", file_.path, key.source().begin.line); }

  [[noreturn]] void fail_at(const toml::source_region& source, const std::string& message) const {
    throw UsageError(fmt::format("'{}' line {}: {}", file_.path, source.begin.line, message));
  }
  [[noreturn]] void fail(const toml::key& key, const std::string& message) const { fail_at(key.source(), message); }

  ConfigFile& file_;
};

}  // namespace

ConfigFile parse_config_file(const std::string& text, const std::string& path) {
  ConfigFile file;
  file.path = path;
  toml::table root;
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw UsageError(fmt::format("'{}' line {}: not TOML: {}", path, error.source().begin.line, error.description()));
  }
  Reader(file).read_root(root);
  return file;
}

}  // namespace csm::app
