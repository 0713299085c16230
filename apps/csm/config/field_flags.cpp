#include "config/field_flags.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/fields.h"
#include "flags.h"

namespace csm::app {
namespace {

constexpr const char* kSourcesGroup = "Where settings come from";

// Values are read from CLI::Option::results(), so that nothing is converted before the field has checked it.
const CLI::callback_t kKeep = [](const CLI::results_t&) { return true; };

std::string heading(const Field& field) {
  const Section& section = section_of(field);
  return section.unset.empty() ? section.heading : fmt::format("{} (default: {})", section.heading, section.unset);
}

}  // namespace

std::string command_name(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  if (parent == nullptr) return "";
  const std::string above = command_name(*parent);
  return above.empty() ? app.get_name() : above + " " + app.get_name();
}

FieldFlags::FieldFlags(CLI::App& app) : command_(command_name(app)) {
  for (const Field& field : fields()) {
    if (field.taken_by(command_)) add_field(app, field);
  }
  if (takes_fields()) add_source_flags(app);
}

void FieldFlags::add_field(CLI::App& app, const Field& field) {
  std::string names = field.letter == '\0' ? "" : fmt::format("-{},", field.letter);
  const std::string flag = field.flag_name(command_);
  names += flag;
  for (const FlagAlias& alias : field.aliases) {
    if (!alias.fixed && !alias.convert) names += "," + alias.flag;
  }
  CLI::Option* option = nullptr;
  if (field.binding.kind == FieldKind::kSwitch) {
    option = app.add_flag_function(names + ",!--no-" + flag.substr(2), [](int64_t) {}, field.help);
  } else {
    option = app.add_option(names, kKeep, field.help)->type_name(field.type);
    if (field.binding.kind != FieldKind::kList) option->take_last();
  }
  option->group(heading(field))->default_str(field.binding.kind == FieldKind::kSwitch && field.default_text() == "false" ? "" : field.default_text());
  options_.push_back({&field, nullptr, flag, option});
  for (const FlagAlias& alias : field.aliases) {
    if (alias.fixed || alias.convert) add_alias(app, field, alias);
  }
}

// Group "" keeps it out of the help.
void FieldFlags::add_alias(CLI::App& app, const Field& field, const FlagAlias& alias) {
  const std::string help = "Same as " + field.flag_name(command_);
  CLI::Option* option = alias.fixed ? app.add_flag_function(alias.flag, [](int64_t) {}, help)
                                    : app.add_option(alias.flag, kKeep, help)->type_name(alias.type)->take_last();
  option->group("");
  options_.push_back({&field, &alias, alias.flag, option});
}

void FieldFlags::add_source_flags(CLI::App& app) {
  app.add_option("--preset", preset_, "Settings by a name: built-in, or [preset.NAME] of the file; `csm config --presets`")
      ->type_name("NAME")
      ->group(kSourcesGroup);
  CLI::Option* config = app.add_option("--config", config_path_, "Configuration file (default: ~/.config/csm/config.toml)")
                            ->type_name("FILE")
                            ->group(kSourcesGroup);
  app.add_flag("--no-config", no_config_, "Read no configuration file")->group(kSourcesGroup)->excludes(config);
  app.add_flag("--print-config", print_, "Print the settings and where each comes from, and stop")->group(kSourcesGroup);
  app.add_option("--save-config", save_path_, "Write the settings to a configuration file, and stop")
      ->type_name("FILE")
      ->group(kSourcesGroup);
}

std::string FieldFlags::value_of(const Typed& typed) {
  if (typed.alias != nullptr && typed.alias->fixed) return *typed.alias->fixed;
  const CLI::results_t& results = typed.option->results();
  const std::string text = typed.field->binding.kind == FieldKind::kList ? fmt::format("{}", fmt::join(results, ","))
                                                                         : results.back();
  return typed.alias == nullptr ? text : typed.alias->convert(text);
}

Sources FieldFlags::sources(const std::vector<std::string>& environment) const {
  Sources sources;
  sources.command = command_;
  sources.environment = environment;
  for (const Typed& typed : options_) {
    if (typed.option->count() == 0) continue;
    const std::string value = checked_value(*typed.field, value_of(typed), typed.flag);
    const auto same = [&](const Assignment& other) { return other.field == typed.field; };
    const auto other = std::find_if(sources.flags.begin(), sources.flags.end(), same);
    if (other != sources.flags.end()) {
      throw UsageError(fmt::format("{} and {} are the same setting; give one of them", other->where, typed.flag));
    }
    sources.flags.push_back({typed.field, value, Layer::kFlag, typed.flag});
  }
  if (no_config_) sources.config_path = "";
  if (!config_path_.empty()) sources.config_path = config_path_;
  if (!preset_.empty()) sources.preset = preset_;
  return sources;
}

std::vector<std::string> with_dashes(std::vector<std::string> words) {
  for (std::string& word : words) {
    if (word == "--") break;
    const size_t end = std::min(word.find('='), word.size());
    const bool is_flag = word.compare(0, 2, "--") == 0 &&
                         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(end), [](unsigned char c) {
                           return std::isalnum(c) != 0 || c == '-' || c == '_';
                         });
    if (is_flag) std::replace(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(end), '_', '-');
  }
  return words;
}

}  // namespace csm::app
