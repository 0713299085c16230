#include "config/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/fields.h"
#include "flags.h"

namespace csm::app {
namespace {

// Variables of the build, the tests and the library, which are no settings.
const std::vector<std::string> kOtherVariables = {
    "CSM_CONFIG",           "CSM_PRESET",           "CSM_JOBS",
    "CSM_PROGRAM",          "CSM_GGML_MODULES",     "CSM_HUB_PYTHON",
    "CSM_LLAMA3_TOKENIZER", "CSM_LLAMA3_TOKENIZER_MODEL", "CSM_SILENTCIPHER_EXAMPLES",
    "CSM_WATERMARK_KEY_HEX"};

// Empty counts as unset.
std::optional<std::string> variable(const std::vector<std::string>& environment, const std::string& name) {
  for (const std::string& entry : environment) {
    if (entry.compare(0, name.size() + 1, name + "=") == 0 && entry.size() > name.size() + 1) {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

Assignments environment_values(const std::vector<std::string>& environment) {
  std::vector<std::string> known = kOtherVariables;
  for (const Field& field : fields()) known.push_back(field.variable());
  Assignments values;
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (name.compare(0, 4, "CSM_") != 0 || equals == std::string::npos || equals + 1 == entry.size()) continue;
    const auto found =
        std::find_if(fields().begin(), fields().end(), [&](const Field& field) { return field.variable() == name; });
    if (found != fields().end()) {
      values.push_back({&*found, checked_value(*found, entry.substr(equals + 1), name), Layer::kEnvironment, name});
    } else if (std::find(known.begin(), known.end(), name) == known.end()) {
      // A variable that resembles none of ours is somebody else's.
      if (const auto near = nearest(name, known)) {
        throw UsageError(fmt::format("unknown variable {} in the environment; did you mean {}?", name, *near));
      }
    }
  }
  return values;
}

Preset chosen_preset(const std::string& name, const std::string& where, const std::vector<Preset>& file_presets) {
  std::vector<std::string> names;
  for (const std::vector<Preset>* presets : {&file_presets, &built_in_presets()}) {
    for (const Preset& preset : *presets) {
      if (preset.name == name) return preset;
      names.push_back(preset.name);
    }
  }
  const auto near = nearest(name, names);
  throw UsageError(fmt::format("{}: no preset '{}'{}; there are {}", where, name,
                               near ? fmt::format(", did you mean '{}'?", *near) : "", fmt::join(names, ", ")));
}

class Merge {
 public:
  explicit Merge(Configuration& configuration) : values_(configuration.values) {}

  void add(const Assignments& layer) {
    for (const Assignment& assignment : layer) add(assignment);
  }

 private:
  void add(const Assignment& assignment) {
    for (const Field& other : fields()) {
      if (!exclude(*assignment.field, other)) continue;
      const auto found = values_.find(&other);
      if (found == values_.end() || is_off(found->second) || is_off(assignment)) continue;
      if (found->second.layer == assignment.layer && assignment.layer != Layer::kDefault) {
        throw UsageError(fmt::format("{} and {} exclude each other", name_of(found->second), name_of(assignment)));
      }
      values_.erase(found);
    }
    values_[assignment.field] = assignment;
  }

  static bool exclude(const Field& a, const Field& b) {
    const auto names = [](const Field& from, const Field& to) {
      return std::find(from.instead_of.begin(), from.instead_of.end(), to.name) != from.instead_of.end();
    };
    return names(a, b) || names(b, a);
  }

  static bool is_off(const Assignment& value) {
    return value.field->binding.kind == FieldKind::kSwitch && value.text == "false";
  }

  static std::string name_of(const Assignment& value) {
    const bool named = value.layer == Layer::kEnvironment || value.layer == Layer::kFlag;
    return named ? value.where : fmt::format("{} ({})", value.field->key(), value.where);
  }

  std::map<const Field*, Assignment>& values_;
};

Assignments fallbacks(const std::string& command) {
  Assignments values;
  for (const Field& field : fields()) {
    if (field.fallback && field.taken_by(command)) values.push_back({&field, *field.fallback, Layer::kDefault, "default"});
  }
  return values;
}

std::optional<ConfigFile> config_file(const Sources& sources) {
  std::optional<std::string> path = sources.config_path;
  if (!path) path = variable(sources.environment, "CSM_CONFIG");
  if (path) return path->empty() ? std::nullopt : std::optional(parse_config_file(read_text(*path), *path));
  const std::string usual = default_config_path(sources.environment);
  std::error_code error;
  if (usual.empty() || !std::filesystem::exists(usual, error)) return std::nullopt;
  return parse_config_file(read_text(usual), usual);
}

std::string in_quotes(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string toml_value(const Field& field, const std::string& text) {
  if (field.binding.kind == FieldKind::kText) return in_quotes(text);
  if (field.binding.kind != FieldKind::kList) return text;
  std::vector<std::string> items;
  detail::parse(text, items);
  for (std::string& item : items) item = in_quotes(item);
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace

std::string default_config_path(const std::vector<std::string>& environment) {
  if (const auto xdg = variable(environment, "XDG_CONFIG_HOME")) return *xdg + "/csm/config.toml";
  const auto home = variable(environment, "HOME");
  return home ? *home + "/.config/csm/config.toml" : "";
}

Configuration configure(const Sources& sources) {
  Configuration configuration;
  configuration.command = sources.command;
  Merge merge(configuration);
  merge.add(fallbacks(sources.command));
  if (const std::optional<ConfigFile> file = config_file(sources)) {
    merge.add(file->values);
    configuration.file_presets = file->presets;
    configuration.config_path = file->path;
  }
  const auto preset_variable = variable(sources.environment, "CSM_PRESET");
  if (const auto name = sources.preset ? sources.preset : preset_variable) {
    merge.add(chosen_preset(*name, sources.preset ? "--preset" : "CSM_PRESET", configuration.file_presets).values);
  }
  merge.add(environment_values(sources.environment));
  merge.add(sources.flags);
  for (const auto& [field, value] : configuration.values) {
    if (field->taken_by(sources.command) && sources.command != "config") {
      field->binding.set(configuration.settings, value.text);
    }
  }
  return configuration;
}

std::string toml_line(const Field& field, const std::string& key, const std::string& text) {
  return key + " = " + toml_value(field, text);
}

namespace {

constexpr int kSourceColumn = 36;

std::string effective_line(const Configuration& configuration, const Field& field, const Section& section) {
  const auto found = configuration.values.find(&field);
  if (found != configuration.values.end()) {
    return fmt::format("{:<{}}  # {}\n", toml_line(field, field.short_key(), found->second.text), kSourceColumn,
                       found->second.where);
  }
  const std::string value = field.binding.get(Settings()).value_or("");
  if (!value.empty()) {
    return fmt::format("{:<{}}  # default\n", toml_line(field, field.short_key(), value), kSourceColumn);
  }
  const std::string& unset = field.unset.empty() ? section.unset : field.unset;
  return fmt::format("{:<{}}  # default: {}\n", "# " + field.short_key() + " =", kSourceColumn, unset);
}

// The lines of one section, below its heading; "" when there are none.
std::string with_heading(const std::string& name, const std::string& lines) {
  return lines.empty() ? "" : fmt::format("[{}]\n{}\n", name, lines);
}

std::string saved_values(const std::string& prefix, const std::function<const Assignment*(const Field&)>& value_of) {
  std::string text;
  for (const Section& section : sections()) {
    std::string lines;
    for (const Field& field : fields()) {
      const Assignment* value = field.section == section.name ? value_of(field) : nullptr;
      if (value != nullptr) lines += toml_line(field, field.short_key(), value->text) + "\n";
    }
    text += with_heading(prefix + section.name, lines);
  }
  return text;
}

}  // namespace

std::string effective_config(const Configuration& configuration) {
  std::string text;
  for (const Section& section : sections()) {
    std::string lines;
    for (const Field& field : fields()) {
      if (field.section == section.name && field.taken_by(configuration.command)) {
        lines += effective_line(configuration, field, section);
      }
    }
    text += with_heading(section.name, lines);
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string saved_config(const Configuration& configuration) {
  std::string text = saved_values("", [&](const Field& field) {
    const auto found = configuration.values.find(&field);
    const bool set = found != configuration.values.end() && found->second.layer != Layer::kDefault;
    return set ? &found->second : nullptr;
  });
  for (const Preset& preset : configuration.file_presets) {
    text += saved_values("preset." + in_quotes(preset.name) + ".", [&](const Field& field) -> const Assignment* {
      const auto found = std::find_if(preset.values.begin(), preset.values.end(),
                                      [&](const Assignment& value) { return value.field == &field; });
      return found == preset.values.end() ? nullptr : &*found;
    });
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace csm::app
