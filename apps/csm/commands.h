// The subcommands of `csm`: each cmd_*.cpp adds one to the command line and says how to run it.
//
// Place in the flow: main.cpp parses, then runs the one command that was named. Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

#include "config/configuration.h"

namespace csm::app {

struct Command {
  CLI::App* app = nullptr;  // owned by the program's CLI::App
  // The exit code; throws UsageError or csm::Error. Configuration::settings holds what config/fields.h says of it.
  std::function<int(const Configuration&)> run;
};

using Commands = std::vector<Command>;

void add_speak(CLI::App& program, Commands& commands);
void add_script(CLI::App& program, Commands& commands);
void add_batch(CLI::App& program, Commands& commands);
void add_chat(CLI::App& program, Commands& commands);
void add_codec(CLI::App& program, Commands& commands);  // codec encode, codec decode
void add_trace(CLI::App& program, Commands& commands);
void add_tokenize(CLI::App& program, Commands& commands);
void add_inspect(CLI::App& program, Commands& commands);
void add_doctor(CLI::App& program, Commands& commands);
void add_pull(CLI::App& program, Commands& commands);
void add_models(CLI::App& program, Commands& commands);  // models, models rm
void add_voice(CLI::App& program, Commands& commands);  // voice add, list, show, rm, export, import
void add_cache(CLI::App& program, Commands& commands);   // cache, cache clear
void add_convert(CLI::App& program, Commands& commands);
void add_watermark(CLI::App& program, Commands& commands);  // watermark detect, read, add, key
void add_bench(CLI::App& program, Commands& commands);
void add_config(CLI::App& program, Commands& commands);
void add_completions(CLI::App& program, Commands& commands);
void add_man(CLI::App& program, Commands& commands);
void add_help(CLI::App& program, Commands& commands);

}  // namespace csm::app
