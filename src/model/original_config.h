// The five-key config.json of the original Sesame checkpoint, in the words of the Transformers one.
//
// Place in the flow: config.json -> (here) -> spec.cpp. Stateless; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "io/json.h"

namespace csm {

// The same facts as a Transformers configuration, with what the flavours' names and the Mimi that goes with them imply.
// Errors: kInvalidData; kUnsupported for a flavour that is not known.
nlohmann::json expand_original_config(const JsonObject& config);

}  // namespace csm
