#include "engine/backend_choice.h"

#include "backends/registry.h"
#include "base/fail.h"

namespace csm {
namespace {

// Errors that another backend may not have; a broken model is broken for all of them.
bool is_of_backend(ErrorCode code) {
  return code == ErrorCode::kUnsupported || code == ErrorCode::kResourceLimit || code == ErrorCode::kInternal;
}

}  // namespace

std::unique_ptr<Backend> open_first_backend(const std::vector<std::string>& names,
                                            const std::function<void(Backend&)>& load,
                                            std::vector<std::string>& notes) {
  for (size_t i = 0; i < names.size(); ++i) {
    try {
      std::unique_ptr<Backend> backend = make_backend(names[i]);
      load(*backend);
      return backend;
    } catch (const Error& error) {
      if (i + 1 == names.size() || !is_of_backend(error.code())) throw;
      notes.push_back(fmt::format("backend {} does not start ({}); using {}", names[i], error.what(), names[i + 1]));
    }
  }
  fail(ErrorCode::kInternal, "no backend was named");
}

}  // namespace csm
