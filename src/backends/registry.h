// The backends that are built in.
//
// Place in the flow: the engine asks here for a backend by name and sees only its interface (model/backend.h). Stateless; any
// thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/backend.h"

namespace csm {

// In order of preference.
std::vector<std::string> backend_names();
// "auto" or a name. Errors: kInvalidArgument with the names there are.
std::unique_ptr<Backend> make_backend(const std::string& name);

}  // namespace csm
