// Scripts that complete the command line in a shell.
//
// Place in the flow: describe() -> text; `csm completions SHELL` prints it, and the install puts it where shells look.
#pragma once

#include <string>
#include <vector>

#include "help/command_tree.h"

namespace csm::app {

std::string bash_completions(const std::vector<CommandInfo>& commands);
std::string zsh_completions(const std::vector<CommandInfo>& commands);
std::string fish_completions(const std::vector<CommandInfo>& commands);

}  // namespace csm::app
