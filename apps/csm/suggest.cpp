// What the program says about a command line that it does not understand (flags.h).
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "flags.h"

namespace csm::app {
namespace {

// Levenshtein distance. src/hub/names.cpp has one as well: a program sees public headers only, and a public header for these
// lines would be an interface to keep.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// The command that the words led to, with its full name.
const CLI::App& deepest_command(const CLI::App& program, std::string& name) {
  const CLI::App* app = &program;
  name = program.get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    name += " " + app->get_name();
  }
  return *app;
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::string suggestion(const std::string& typed, const std::vector<std::string>& candidates) {
  const auto near = nearest(typed, candidates);
  return near ? fmt::format("; did you mean '{}'?", *near) : "";
}

std::string explain_leftover(const CLI::App& app, const std::string& name, const std::string& word) {
  if (word.size() > 1 && word[0] == '-') {
    const std::string flag = word.substr(0, word.find('='));
    return fmt::format("unknown flag '{}'{} (see '{} --help')", flag, suggestion(flag, flag_names(app)), name);
  }
  const std::vector<std::string> commands = command_names(app);
  if (!commands.empty()) {
    return fmt::format("unknown command '{}'{} (see '{} --help')", word, suggestion(word, commands), name);
  }
  return fmt::format("unexpected argument '{}'; put a text of several words in quotes (see '{} --help')", word, name);
}

std::string plain_words(const CLI::ParseError& error) {
  const std::string what = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return fmt::format("'{}' needs a value", what.substr(0, what.find(':')));
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    const size_t colon = what.find(": ");
    return "wrong value" + (colon == std::string::npos ? ": " + what : what.substr(colon));
  }
  return what;
}

}  // namespace

std::optional<std::string> nearest(const std::string& typed, const std::vector<std::string>& candidates) {
  const size_t limit = std::max<size_t>(2, typed.size() / 3);
  std::optional<std::string> best;
  size_t best_distance = limit + 1;
  for (const std::string& candidate : candidates) {
    const bool begins = typed.size() >= 4 && candidate.compare(0, typed.size(), typed) == 0;
    const size_t distance = begins ? 0 : edit_distance(typed, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string explain_parse_error(const CLI::App& program, const CLI::ParseError& error) {
  std::string name;
  const CLI::App& app = deepest_command(program, name);
  // What was not understood explains more than what is missing because of it.
  const std::vector<std::string> leftover = app.remaining();
  if (!leftover.empty()) return explain_leftover(app, name, leftover.front());
  if (!command_names(app).empty()) {
    return fmt::format("a command is missing after '{}': one of {} (see '{} --help')", name,
                       fmt::join(command_names(app), ", "), name);
  }
  return fmt::format("{} (see '{} --help')", plain_words(error), name);
}

}  // namespace csm::app
