// --model: a path, or the name of a model on the hub, which is fetched when it is not in the cache.
//
// Place in the flow: every command that needs a model passes what was typed through here. Main thread.
#pragma once

#include <csm/hub.h>

#include <string>

#include "progress.h"

namespace csm::app {

// What exists as a file or directory is taken as it is, and so is what cannot be a name on the hub. Errors: those of
// resolve_model.
std::string locate_model(const std::string& path_or_name);

// The name as typed. Errors: UsageError for what cannot be one, with the nearest known name.
HubName need_hub_name(const std::string& text);

// Shows a download on one line of the terminal, and stops it when a signal came.
class DownloadProgress {
 public:
  explicit DownloadProgress(bool quiet) : progress_(quiet) {}
  HubProgressCallback callback();
  void clear() { progress_.clear(); }

 private:
  std::string line(const HubProgress& progress);

  Progress progress_;
  std::string repo_;
  std::chrono::steady_clock::time_point begin_{};
  uint64_t begin_bytes_ = 0;
};

}  // namespace csm::app
