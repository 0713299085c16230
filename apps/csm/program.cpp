#include "program.h"

#include <unistd.h>

#include <algorithm>

#include "config/documentation.h"
#include "flags.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Start here:
  csm speak "Good morning." -o morning.wav
  csm help speak

The bundled model speaks without any download; --model names another checkpoint. Flags may be kept: csm help config.
Standard output carries audio, JSON, or pages and tables that were asked for; all other words go to standard error.
Exit codes: 0 done; 1 failed (bad file, model or text, disk full); 2 wrong command line or setting; 130 interrupted.)";

// In the order of the help.
struct Group {
  const char* heading;
  std::vector<void (*)(CLI::App&, Commands&)> commands;
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all = {
      {"Speaking", {add_speak, add_chat, add_script, add_batch, add_voice, add_watermark}},
      {"Models", {add_pull, add_models, add_inspect, add_convert, add_cache}},
      {"Looking inside", {add_tokenize, add_codec, add_trace, add_bench}},
      {"The program", {add_doctor, add_config, add_completions, add_man, add_help}},
  };
  return all;
}

Commands add_commands(CLI::App& program) {
  Commands commands;
  for (const Group& group : groups()) {
    for (const auto add : group.commands) {
      const size_t n_before = program.get_subcommands({}).size();
      add(program, commands);
      const std::vector<CLI::App*> apps = program.get_subcommands({});
      for (size_t i = n_before; i < apps.size(); ++i) apps[i]->group(group.heading);
    }
  }
  return commands;
}

// A subcommand that brings no examples of its own shows those of the command that it belongs to.
void inherit_examples(CLI::App& parent) {
  for (CLI::App* app : parent.get_subcommands({})) {
    if (app->get_footer().empty() && app->get_parent()->get_parent() != nullptr) app->footer(parent.get_footer());
    inherit_examples(*app);
  }
}

std::vector<std::string> environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

}  // namespace

Program::Program() : app_("csm: text and conversation in, speech out.") {
  app_.name("csm");
  app_.formatter(std::make_shared<HelpFormatter>());
  app_.set_version_flag("--version", "csm " CSM_VERSION, "Print the version and stop");
  app_.set_help_flag("-h,--help", "Print this help and stop");
  app_.require_subcommand(1);
  app_.footer(kFooter);
  commands_ = add_commands(app_);
  inherit_examples(app_);
  for (const Command& command : commands_) flags_.emplace_back(*command.app);
}

// The place of the command that was named.
size_t Program::named_command() const {
  for (size_t i = 0; i < commands_.size(); ++i) {
    if (commands_[i].app->parsed()) return i;
  }
  throw UsageError("a command is missing (see 'csm --help')");
}

int Program::run_command(const Command& command, const FieldFlags& flags) const {
  if (!flags.takes_fields()) return command.run({});
  const Configuration configuration = configure(flags.sources(environment()));
  if (flags.wants_print()) return print_config(configuration);
  if (!flags.save_path().empty()) return save_config(configuration, flags.save_path());
  return command.run(configuration);
}

int Program::run(std::vector<std::string> words) {
  words = with_dashes(std::move(words));
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app_.parse(words);
  } catch (const CLI::RequiredError& error) {
    // What is missing is not needed to look at the settings.
    const bool stops = std::any_of(flags_.begin(), flags_.end(), [](const FieldFlags& of) { return of.stops_first(); });
    if (!stops) throw UsageError(explain_parse_error(app_, error));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_.exit(error);  // --help, --version
    throw UsageError(explain_parse_error(app_, error));
  }
  const size_t named = named_command();
  return run_command(commands_[named], flags_[named]);
}

}  // namespace csm::app
