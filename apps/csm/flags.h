// Flags that several subcommands share, and what the program makes of a command line that it does not understand.
//
// Place in the flow: cmd_*.cpp add them; main.cpp turns parse errors into one line with a suggestion. Main thread.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace csm::app {

// A command line that cannot work: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs a validation; what it rejects is the command line's fault.
void check_usage(const std::function<void()>& validate);

// The candidate nearest to what was typed, if any is near.
std::optional<std::string> nearest(const std::string& typed, const std::vector<std::string>& candidates);

// One line for a command line that CLI11 refused: unknown flags and commands with the nearest known one.
std::string explain_parse_error(const CLI::App& program, const CLI::ParseError& error);

// A check for flags that count: digits only (CLI11 takes -1 for the greatest unsigned number), and not below `least` (0
// or 1).
CLI::Validator whole_number(int least);

// Help in this program's form: "--flag TYPE   what it does (default: x)".
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_group(std::string group, bool is_positional, std::vector<const CLI::Option*> options) const override;
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

void add_json_flag(CLI::App& app, bool& json);

// The model that was named, else the bundled one. Errors: kNotFound when there is neither.
std::string model_or_bundled(const std::string& model);

// Validates, fills in the bundled model, and loads. Errors: UsageError, those of Engine::open.
std::shared_ptr<Engine> open_engine(EngineOptions options);

// The whole file, byte for byte; "-" is standard input. Errors: kNotFound, kIo, kInvalidData (too long).
std::string read_text(const std::string& path);
// The same without the final line break that editors and echo put there: it is not meant to be spoken.
std::string read_line_of_speech(const std::string& path);

}  // namespace csm::app
