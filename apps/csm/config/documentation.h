// The table of fields as pages: docs/configuration.md and the list of presets.
//
// Place in the flow: csm config prints them; a test compares the page with what is in docs/. Stateless.
#pragma once

#include <string>

#include "config/configuration.h"

namespace csm::app {

std::string configuration_markdown();
std::string presets_text(const Configuration& configuration);

// --print-config and --save-config FILE: what every command does with them. The exit code. Errors: kIo.
int print_config(const Configuration& configuration);
int save_config(const Configuration& configuration, const std::string& path);

}  // namespace csm::app
