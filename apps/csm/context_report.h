// What became of a conversation's turns, for people and as JSON.
//
// Place in the flow: csm/context.h -> speak --context-report, chat /report. Stateless.
#pragma once

#include <csm/context.h>

#include <string>

#include "output.h"

namespace csm::app {

// A table with a line for each turn, and the account of the window below it.
std::string to_text(const ContextReport& report);
Json to_json(const ContextReport& report);

}  // namespace csm::app
