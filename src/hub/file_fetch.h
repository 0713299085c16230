// One file of a commit into the cache: locked, resumed, verified, then linked.
//
// Place in the flow: pull's threads call this, each with its own client. Nothing appears under a blob's name before it
// is whole and its hash is right, so a process that dies at any moment leaves only what the next one goes on with.
#pragma once

#include <atomic>
#include <string>

#include "hub/api.h"
#include "hub/cache.h"

namespace csm {

// What the threads of a pull add up; read by the one that shows progress.
struct FetchCounters {
  std::atomic<uint64_t> present_bytes{
      0};  // of files that are being fetched or done; goes back when a file starts again
  std::atomic<uint64_t> received_bytes{0};
  std::atomic<int> n_done{0};
  std::atomic<int> n_waiting{0};  // for another process
  std::atomic<int> n_verifying{0};
};

// Does nothing when the snapshot has the file. Errors: those of fail_refused; kInvalidData (size or hash differ from
// what was announced, twice); kIo; kResourceLimit (disk full); kCancelled.
void fetch_file(HttpClient& client, const HubCache& cache, const std::string& repo, const std::string& commit,
                const RepoFile& file, FetchCounters& counters);

// Bytes of the file that the cache has already, also of a broken download.
uint64_t bytes_in_cache(const HubCache& cache, const std::string& repo, const std::string& commit,
                        const RepoFile& file);

}  // namespace csm
