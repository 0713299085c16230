// The fields of a command as its flags, and the flags that say where its other settings come from.
//
// Place in the flow: main.cpp makes one for each command before parsing, and asks the one of the command that was named.
// Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/configuration.h"

namespace csm::app {

class FieldFlags {
 public:
  // Adds them to the command, whose parents are known by then.
  explicit FieldFlags(CLI::App& app);
  FieldFlags(const FieldFlags&) = delete;
  FieldFlags& operator=(const FieldFlags&) = delete;

  // What was typed; the environment is given by the caller. Errors: UsageError for values that the fields do not take.
  Sources sources(const std::vector<std::string>& environment) const;

  bool wants_print() const { return print_; }
  const std::string& save_path() const { return save_path_; }  // "" when nothing is to be saved
  bool stops_first() const { return print_ || !save_path_.empty(); }  // before the command does anything
  bool takes_fields() const { return !options_.empty(); }

 private:
  struct Typed {
    const Field* field;
    const FlagAlias* alias;  // nullptr for the field's own flag
    std::string flag;
    CLI::Option* option;
  };

  void add_field(CLI::App& app, const Field& field);
  void add_alias(CLI::App& app, const Field& field, const FlagAlias& alias);
  void add_source_flags(CLI::App& app);
  static std::string value_of(const Typed& typed);

  std::string command_;
  std::vector<Typed> options_;
  std::string config_path_;
  bool no_config_ = false;
  std::string preset_;
  bool print_ = false;
  std::string save_path_;
};

// "codec encode".
std::string command_name(const CLI::App& app);

// Argument words with '_' for '-' in the names of long flags, as people type them for other engines.
std::vector<std::string> with_dashes(std::vector<std::string> words);

}  // namespace csm::app
