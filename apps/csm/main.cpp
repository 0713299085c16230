// The program `csm`: parses the command line, runs one subcommand, turns errors into one line and an exit code.
#include <csm/error.h>

#include <cstdio>
#include <new>

#include "commands.h"
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

int run_command(const Commands& commands) {
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  throw UsageError("a command is missing (see 'csm --help')");
}

int run(int argc, char** argv) {
  CLI::App program("csm: text and conversation in, speech out.");
  describe_program(program);
  Commands commands;
  add_speak(program, commands);
  add_codec(program, commands);
  add_tokenize(program, commands);
  add_inspect(program, commands);
  add_doctor(program, commands);
  add_pull(program, commands);
  add_models(program, commands);
  add_trace(program, commands);
  add_convert(program, commands);
  add_bench(program, commands);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    throw UsageError(explain_parse_error(program, error));
  }
  return run_command(commands);
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
