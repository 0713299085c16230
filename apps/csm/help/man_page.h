// The man page csm(1).
//
// Place in the flow: describe() -> roff; `csm man` prints it, and the install puts it where man looks.
#pragma once

#include <string>
#include <vector>

#include "help/command_tree.h"

namespace csm::app {

std::string man_page(const std::vector<CommandInfo>& commands);

}  // namespace csm::app
