// The program `csm`: parses the command line, runs one subcommand, turns errors into one line and an exit code.
#include <csm/error.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <new>

#include "commands.h"
#include "config/documentation.h"
#include "config/field_flags.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Start here:
  csm speak "Good morning." -o morning.wav
  csm speak --help

The bundled model speaks without any download; --model names another checkpoint.
Standard output carries audio or JSON only; all other words go to standard error.
Exit codes: 0 done; 1 failed (bad file, model or text, disk full); 2 wrong command line; 130 interrupted.)";

void describe_program(CLI::App& program) {
  program.name("csm");
  program.formatter(std::make_shared<HelpFormatter>());
  program.set_version_flag("--version", "csm " CSM_VERSION, "Print the version and stop");
  program.set_help_flag("-h,--help", "Print this help and stop");
  program.require_subcommand(1);
  program.footer(kFooter);
}

Commands all_commands(CLI::App& program) {
  Commands commands;
  add_speak(program, commands);
  add_batch(program, commands);
  add_codec(program, commands);
  add_watermark(program, commands);
  add_tokenize(program, commands);
  add_inspect(program, commands);
  add_doctor(program, commands);
  add_pull(program, commands);
  add_models(program, commands);
  add_voice(program, commands);
  add_cache(program, commands);
  add_trace(program, commands);
  add_convert(program, commands);
  add_bench(program, commands);
  add_config(program, commands);
  return commands;
}

// The place of the command that was named.
size_t named_command(const Commands& commands) {
  for (size_t i = 0; i < commands.size(); ++i) {
    if (commands[i].app->parsed()) return i;
  }
  throw UsageError("a command is missing (see 'csm --help')");
}

std::vector<std::string> environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

int run_command(const Command& command, const FieldFlags& flags) {
  if (!flags.takes_fields()) return command.run({});
  const Configuration configuration = configure(flags.sources(environment()));
  if (flags.wants_print()) return print_config(configuration);
  if (!flags.save_path().empty()) return save_config(configuration, flags.save_path());
  return command.run(configuration);
}

int run(int argc, char** argv) {
  CLI::App program("csm: text and conversation in, speech out.");
  describe_program(program);
  const Commands commands = all_commands(program);
  std::deque<FieldFlags> flags;  // stay where they are: CLI11 writes into them
  for (const Command& command : commands) flags.emplace_back(*command.app);
  try {
    std::vector<std::string> words = with_dashes(argc, argv);
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    program.parse(words);
  } catch (const CLI::RequiredError& error) {
    // What is missing is not needed to look at the settings.
    const bool stops = std::any_of(flags.begin(), flags.end(), [](const FieldFlags& of) { return of.stops_first(); });
    if (!stops) throw UsageError(explain_parse_error(program, error));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    throw UsageError(explain_parse_error(program, error));
  }
  const size_t named = named_command(commands);
  return run_command(commands[named], flags[named]);
}

int report_error(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  if (interrupted() || (known != nullptr && known->code() == ErrorCode::kCancelled)) {
    print_error("interrupted");
    return interrupt_exit_code();
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    print_error("out of memory; try a smaller model, --quantize q8_0 or a shorter context");
    return kFailed;
  }
  print_error(error.what());
  return dynamic_cast<const UsageError*>(&error) != nullptr ? kUsage : kFailed;
}

}  // namespace
}  // namespace csm::app

int main(int argc, char** argv) {
  csm::app::install_signal_handlers();
  try {
    return csm::app::run(argc, argv);
  } catch (const std::exception& error) {
    return csm::app::report_error(error);
  }
}
