// csm completions, csm man, csm help: what the program says of its own command line.
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "help/command_tree.h"
#include "help/completions.h"
#include "help/man_page.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kCompletionsFooter = R"(Examples:
  source <(csm completions bash)                                       for this shell
  csm completions bash > ~/.local/share/bash-completion/completions/csm
  csm completions zsh > "${fpath[1]}/_csm"
  csm completions fish > ~/.config/fish/completions/csm.fish

make install puts all three where the shells look.)";

constexpr const char* kManFooter = R"(Examples:
  csm man | man -l -
  csm man > csm.1)";

constexpr const char* kHelpFooter = R"(Examples:
  csm help
  csm help speak
  csm help codec encode)";

const CLI::App& program_of(const CLI::App& app) { return *app.get_parent(); }

int run_completions(const CLI::App& program, const std::string& shell) {
  const std::vector<CommandInfo> commands = describe(program);
  if (shell == "bash") {
    print_stdout(bash_completions(commands));
  } else if (shell == "zsh") {
    print_stdout(zsh_completions(commands));
  } else {
    print_stdout(fish_completions(commands));
  }
  return kDone;
}

// The help of the command that the words name.
int run_help(const CLI::App& program, const std::vector<std::string>& words) {
  const CLI::App* app = &program;
  std::string above;
  for (const std::string& word : words) {
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
      if (command->get_name() == word) next = command;
    }
    above += (above.empty() ? "" : " ") + app->get_name();
    if (next == nullptr) {
      const auto near = nearest(word, names);
      throw UsageError(fmt::format("unknown command '{}'{} (see '{} --help')", word,
                                   near ? fmt::format("; did you mean '{}'?", *near) : "", above));
    }
    app = next;
  }
  // Not app->help(): that is the help of the command that was named, and here it is this one.
  print_stdout(app->get_formatter()->make_help(app, above.empty() ? app->get_name() : above + " " + app->get_name(), CLI::AppFormatMode::Normal));
  return kDone;
}

}  // namespace

void add_completions(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("completions", "Print a script that completes command lines in a shell");
  const auto shell = std::make_shared<std::string>();
  app->footer(kCompletionsFooter);
  app->add_option("shell", *shell, "bash, zsh or fish")
      ->type_name("SHELL")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  commands.push_back({app, [app, shell](const Configuration&) { return run_completions(program_of(*app), *shell); }});
}

void add_man(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("man", "Print the man page");
  app->footer(kManFooter);
  commands.push_back({app, [app](const Configuration&) {
                        print_stdout(man_page(describe(program_of(*app))));
                        return kDone;
                      }});
}

void add_help(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("help", "Explain a command and its flags");
  const auto words = std::make_shared<std::vector<std::string>>();
  app->footer(kHelpFooter);
  app->add_option("command", *words, "The command, as speak or codec encode (default: an overview)")->type_name("COMMAND");
  commands.push_back({app, [app, words](const Configuration&) { return run_help(program_of(*app), *words); }});
}

}  // namespace csm::app
