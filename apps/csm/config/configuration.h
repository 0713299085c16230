// The effective settings of a command: defaults, then the configuration file, then a preset, then the environment, then
// flags, each over those before it.
//
// Place in the flow: main.cpp calls configure() between parsing the command line and running the command. Main thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/field.h"

namespace csm::app {

enum class Layer { kDefault, kFile, kPreset, kEnvironment, kFlag };

// One value as a source gave it, checked.
struct Assignment {
  const Field* field = nullptr;
  std::string text;
  Layer layer = Layer::kDefault;
  std::string where;  // for people: "'config.toml' line 3", "CSM_SEED", "--seed"
};

using Assignments = std::vector<Assignment>;

// A name and the values that it stands for.
struct Preset {
  std::string name;
  std::string about;
  Assignments values;
};

struct ConfigFile {
  std::string path;
  Assignments values;
  std::vector<Preset> presets;
};

// A file's text. Errors: UsageError, one line with path, line, key, what was expected and found, and the nearest name.
ConfigFile parse_config_file(const std::string& text, const std::string& path);
// $XDG_CONFIG_HOME/csm/config.toml, else ~/.config/csm/config.toml; "" when neither variable is set.
std::string default_config_path(const std::vector<std::string>& environment);

const std::vector<Preset>& built_in_presets();

// What the command line and the environment ("NAME=value" each) say about where settings come from.
struct Sources {
  std::string command;
  Assignments flags;
  std::vector<std::string> environment;
  std::optional<std::string> config_path;  // --config; "" reads none
  std::optional<std::string> preset;       // --preset
};

struct Configuration {
  std::string command;
  Settings settings;
  std::map<const Field*, Assignment> values;  // of all fields that have one; what the command does not take as well
  std::vector<Preset> file_presets;
  std::string config_path;  // that was read; "" for none
};

// Errors: UsageError; csm::Error for a file that cannot be read.
Configuration configure(const Sources& sources);

// The values of the fields that the command takes, as a configuration file: each with its source, those without a value as
// a comment.
std::string effective_config(const Configuration& configuration);
// All values that do not come from defaults, and the file's presets, as a configuration file.
std::string saved_config(const Configuration& configuration);
// "key = value" in TOML.
std::string toml_line(const Field& field, const std::string& key, const std::string& text);

}  // namespace csm::app
