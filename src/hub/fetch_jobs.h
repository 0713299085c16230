// Jobs that need the hub, done by a few threads while the caller's thread reports progress and may stop them.
//
// Place in the flow: pull makes jobs, file_fetch does most of them. Owned by one pull; its functions are called from
// that pull's thread only.
#pragma once

#include <csm/hub.h>

#include <functional>
#include <string>
#include <vector>

#include "hub/file_fetch.h"

namespace csm {

class FetchJobs {
 public:
  using Job = std::function<void(HttpClient&)>;

  FetchJobs(const HubOptions& options, std::string repo, HubProgressCallback on_progress)
      : options_(options), repo_(std::move(repo)), on_progress_(std::move(on_progress)) {}

  // Returns when all are done. The first error stops the others and is thrown. Errors: those of the jobs; kCancelled
  // when on_progress returned false.
  void run(const std::vector<Job>& jobs);
  void run(const Job& job) { run(std::vector<Job>{job}); }

  // Announces files before they are fetched, for the totals.
  void expect(const std::vector<RepoFile>& files);

  FetchCounters& counters() { return counters_; }
  // One report now, with a note. Errors: kCancelled.
  void note(const std::string& text);

 private:
  bool report(const std::string& note) const;
  std::string activity() const;

  const HubOptions& options_;
  std::string repo_;
  HubProgressCallback on_progress_;
  FetchCounters counters_;
  int n_files_ = 0;
  uint64_t total_bytes_ = 0;
};

}  // namespace csm
