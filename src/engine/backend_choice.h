// Which backend an engine gets: the one asked for by name, or the first that starts.
//
// Place in the flow: Engine::open -> (here) -> backends/registry. Inference thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/backend.h"

namespace csm {

// Makes the backends in turn and hands each to load, which loads the model, until one succeeds. Where one does not
// start (unsupported here, out of memory, a failure of its library) the next takes over, and notes gets one line that
// says why. An error of any other kind, or of the last backend, is thrown. names must not be empty.
std::unique_ptr<Backend> open_first_backend(const std::vector<std::string>& names,
                                            const std::function<void(Backend&)>& load, std::vector<std::string>& notes);

}  // namespace csm
