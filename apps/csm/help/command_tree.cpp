#include "help/command_tree.h"

#include <algorithm>

#include "config/field_flags.h"
#include "config/fields.h"

namespace csm::app {
namespace {

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

// CLI11 writes a closed list of words behind the type: "FORM:{gguf,mlx}".
std::vector<std::string> words_in_type(const std::string& type) {
  std::vector<std::string> words;
  const size_t open = type.find(":{"), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return words;
  for (size_t begin = open + 2; begin <= close;) {
    const size_t end = std::min(type.find(',', begin), close);
    words.push_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : built_in_presets()) names.push_back(preset.name);
  return names;
}

std::vector<std::string> values_of(const std::string& command, const std::string& flag, const std::string& type) {
  if (flag == "--preset") return preset_names();
  for (const Field& field : fields()) {
    if (!field.taken_by(command) || field.flag_name(command) != flag) continue;
    return field.choices.empty() ? field.suggestions : field.choices;
  }
  return words_in_type(type);
}

FlagInfo flag_info(const std::string& command, const CLI::Option& option) {
  FlagInfo info;
  info.names = option.get_positional() ? std::vector<std::string>{option.get_name(true, false)} : names_of(option);
  info.about = option.get_description();
  info.fallback = option.get_default_str();
  info.group = option.get_group();
  const std::string type = option.get_type_size() == 0 ? "" : option.get_type_name();
  info.type = type.substr(0, type.find(':'));
  info.values = values_of(command, info.names.front(), type);
  info.is_file = info.type.find("FILE") != std::string::npos || info.type.find("PATH") != std::string::npos ||
                 info.type.find("DIR") != std::string::npos;
  return info;
}

void add_command(const CLI::App& app, std::vector<CommandInfo>& commands) {
  const std::string name = command_name(app);
  CommandInfo info;
  info.path = name.empty() ? "csm" : "csm " + name;
  info.about = app.get_description();
  info.examples = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      info.positionals.push_back(flag_info(name, *option));
    } else if (!option->get_group().empty()) {
      info.flags.push_back(flag_info(name, *option));
    }
  }
  const std::vector<const CLI::App*> subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* subcommand : subcommands) info.subcommands.push_back(subcommand->get_name());
  commands.push_back(info);
  for (const CLI::App* subcommand : subcommands) add_command(*subcommand, commands);
}

}  // namespace

std::vector<CommandInfo> describe(const CLI::App& program) {
  std::vector<CommandInfo> commands;
  add_command(program, commands);
  return commands;
}

}  // namespace csm::app
