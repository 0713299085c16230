// The whole command line: every command with its flags, settings included.
//
// Place in the flow: main.cpp builds one, parses with it and runs what was named; the tests walk it. Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <deque>
#include <string>
#include <vector>

#include "commands.h"
#include "config/field_flags.h"

namespace csm::app {

class Program {
 public:
  Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Words without the program's name. The exit code; throws UsageError and csm::Error.
  int run(std::vector<std::string> words);

  const CLI::App& app() const { return app_; }
  const Commands& commands() const { return commands_; }

 private:
  size_t named_command() const;
  int run_command(const Command& command, const FieldFlags& flags) const;

  CLI::App app_;
  Commands commands_;
  std::deque<FieldFlags> flags_;  // of each command; they stay where they are, since CLI11 writes into them
};

}  // namespace csm::app
