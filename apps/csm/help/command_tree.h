// The command line as data: what completions and the man page are made from.
//
// Place in the flow: CLI::App with all commands and settings -> CommandInfo -> scripts and pages. Values.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace csm::app {

struct FlagInfo {
  std::vector<std::string> names;   // "--top-k", "--topk", "-q"; the usual one first
  std::string about;
  std::string type;                 // "N"; "" for a switch
  std::string fallback;             // the default; "" when there is none to tell
  std::string group;
  std::vector<std::string> values;  // to choose from; need not be all
  bool is_file = false;
};

struct CommandInfo {
  std::string path;  // "csm", "csm codec encode"
  std::string about;
  std::string examples;  // the text below the flags
  std::vector<FlagInfo> flags;
  std::vector<FlagInfo> positionals;  // names: one
  std::vector<std::string> subcommands;
};

// The program first, then each command before its subcommands. Flags without a group are left out, as in the help.
std::vector<CommandInfo> describe(const CLI::App& program);

}  // namespace csm::app
