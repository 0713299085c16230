#include "help/completions.h"

#include <fmt/format.h>

namespace csm::app {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

// Taken the same way by bash, zsh and fish.
std::string in_single_quotes(const std::string& text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

bool takes_value(const FlagInfo& flag) { return !flag.type.empty(); }

// Lines "path pattern) action" of a case over "$path $previous", one for each flag that takes a value.
std::string bash_value_cases(const CommandInfo& command) {
  std::string text;
  for (const FlagInfo& flag : command.flags) {
    if (!takes_value(flag)) continue;
    std::string pattern;
    for (const std::string& name : flag.names) {
      pattern += (pattern.empty() ? "" : "|") + fmt::format("'{} {}'", command.path, name);
    }
    std::string action = ":";
    if (!flag.values.empty()) action = fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", fmt::join(flag.values, " "));
    if (flag.is_file) action = "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\"))";
    text += fmt::format("    {}) {}; return ;;\n", pattern, action);
  }
  return text;
}

std::string bash_words(const CommandInfo& command) {
  std::string words = fmt::format("{}", fmt::join(command.subcommands, " "));
  for (const FlagInfo& flag : command.flags) {
    words += (words.empty() ? "" : " ") + fmt::format("{}", fmt::join(flag.names, " "));
  }
  return words;
}

// What may stand as a word of its own: given values, else files.
std::string bash_positionals(const CommandInfo& command) {
  for (const FlagInfo& positional : command.positionals) {
    if (!positional.values.empty()) {
      return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", fmt::join(positional.values, " "));
    }
    if (positional.is_file) return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\"))";
  }
  return ":";
}

std::string zsh_text(std::string text) {
  for (const char* special : {"\\", "[", "]", ":"}) text = replaced(text, special, std::string("\\") + special);
  return text;
}

std::string zsh_action(const FlagInfo& flag) {
  if (!flag.values.empty()) return fmt::format("({})", fmt::join(flag.values, " "));
  return flag.is_file ? "_files" : " ";
}

std::string zsh_flags(const CommandInfo& command) {
  std::string text;
  for (const FlagInfo& flag : command.flags) {
    for (const std::string& name : flag.names) {
      const bool is_long = name.compare(0, 2, "--") == 0;
      const std::string value =
          takes_value(flag) ? fmt::format(":{}:{}", zsh_text(flag.type), zsh_action(flag)) : std::string();
      const std::string joined = takes_value(flag) && is_long ? name + "=" : takes_value(flag) ? name + "+" : name;
      text += "        " + in_single_quotes("*" + joined + "[" + zsh_text(flag.about) + "]" + value) + " \\\n";
    }
  }
  return text;
}

std::string zsh_positionals(const CommandInfo& command) {
  std::string text;
  for (const FlagInfo& positional : command.positionals) {
    text += "        " + in_single_quotes("*:" + zsh_text(positional.names.front()) + ":" + zsh_action(positional)) + " \\\n";
    break;  // what stands first is what there is most of
  }
  return text;
}

std::string fish_condition(const CommandInfo& command) { return fmt::format("-n '__csm_is \"{}\"'", command.path); }

std::string fish_flag(const CommandInfo& command, const FlagInfo& flag) {
  std::string text;
  for (const std::string& name : flag.names) {
    text += name.compare(0, 2, "--") == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (takes_value(flag)) text += flag.is_file ? " -r -F" : " -x";
  if (!flag.values.empty()) text += fmt::format(" -a '{}'", fmt::join(flag.values, " "));
  return fmt::format("complete -c csm {}{} -d {}\n", fish_condition(command), text, in_single_quotes(flag.about));
}

// Tests of "$path $word" for the words that lead to a command.
std::string path_patterns(const std::vector<CommandInfo>& commands, const std::string& separator) {
  std::string text;
  for (size_t i = 1; i < commands.size(); ++i) text += (i > 1 ? separator : "") + "'" + commands[i].path + "'";
  return text;
}

}  // namespace

std::string bash_completions(const std::vector<CommandInfo>& commands) {
  std::string text = R"(# Completions of csm for bash; made by `csm completions bash`.
_csm() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path=csm i
  # --flag=value comes as three words.
  if [[ $word == '=' ]]; then
    word=
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${COMP_WORDS[i]}" in
)";
  text += "      " + path_patterns(commands, "|") + ") path=\"$path ${COMP_WORDS[i]}\" ;;\n    esac\n  done\n";
  text += "  case \"$path $previous\" in\n";
  for (const CommandInfo& command : commands) text += bash_value_cases(command);
  text += "  esac\n  case \"$path\" in\n";
  for (const CommandInfo& command : commands) {
    const std::string words = fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", bash_words(command));
    text += command.subcommands.empty()
                ? fmt::format("    '{}') if [[ $word == -* ]]; then {}; else {}; fi ;;\n", command.path, words,
                              bash_positionals(command))
                : fmt::format("    '{}') {} ;;\n", command.path, words);
  }
  return text + "  esac\n}\ncomplete -F _csm csm\n";
}

std::string zsh_completions(const std::vector<CommandInfo>& commands) {
  std::string text = R"(#compdef csm
# Completions of csm for zsh; made by `csm completions zsh`.
_csm() {
  local path_so_far=csm i
  integer begin=1
  for ((i = 2; i < CURRENT; i++)); do
    case "$path_so_far ${words[i]}" in
)";
  text += "      (" + path_patterns(commands, "|") +
          ") path_so_far=\"$path_so_far ${words[i]}\"; begin=i ;;\n    esac\n  done\n"
          "  # _arguments shall see the command as its first word.\n"
          "  words=(\"${(@)words[begin,-1]}\")\n  (( CURRENT -= begin - 1 ))\n  case \"$path_so_far\" in\n";
  for (const CommandInfo& command : commands) {
    text += fmt::format("    ('{}')\n      _arguments -S \\\n{}", command.path, zsh_flags(command));
    if (command.subcommands.empty()) {
      text += zsh_positionals(command);
    } else {
      text += fmt::format("        '1:command:({})' \\\n", fmt::join(command.subcommands, " "));
    }
    text += "        && return ;;\n";
  }
  return text + "  esac\n}\nif [ \"$funcstack[1]\" = _csm ]; then _csm \"$@\"; else compdef _csm csm; fi\n";
}

std::string fish_completions(const std::vector<CommandInfo>& commands) {
  std::string text = R"(# Completions of csm for fish; made by `csm completions fish`.
function __csm_is
    set -l path csm
    for word in (commandline -opc)[2..-1]
        if contains -- "$path $word" )";
  text += path_patterns(commands, " ") + "\n            set path \"$path $word\"\n        end\n    end\n"
          "    test \"$path\" = \"$argv[1]\"\nend\n";
  for (const CommandInfo& command : commands) {
    for (const FlagInfo& flag : command.flags) text += fish_flag(command, flag);
    for (const std::string& name : command.subcommands) {
      std::string about;
      for (const CommandInfo& other : commands) {
        if (other.path == command.path + " " + name) about = other.about;
      }
      text += fmt::format("complete -c csm {} -f -a {} -d {}\n", fish_condition(command), name, in_single_quotes(about));
    }
    for (const FlagInfo& positional : command.positionals) {
      if (positional.values.empty()) continue;
      text += fmt::format("complete -c csm {} -f -a '{}'\n", fish_condition(command), fmt::join(positional.values, " "));
    }
  }
  return text;
}

}  // namespace csm::app
