// A model that is on this machine: which files of its snapshot make it up, what it lacks, and the directory that the
// engine opens.
//
// Place in the flow: cache -> (here) -> a path for the engine; pull uses it to see what is missing. Reads the disk
// only, never the network. Any thread.
#pragma once

#include <csm/hub.h>

#include <string>
#include <vector>

#include "hub/cache.h"
#include "hub/names.h"
#include "hub/needed_files.h"

namespace csm {

struct Snapshot {
  HubName name;
  std::string commit;
  NeededFiles needed;
  std::vector<std::string> weights;  // all of them, as names in the repository

  std::vector<std::string> files() const;  // small files and weights
};

// A file of another repository that stands beside the model's own.
struct CompanionFile {
  std::string name;  // "owner/name/file"
  std::string path;
};

// What the cache has of a model. `problem` says what is missing; empty: all that is in the list of its files.
struct CachedSnapshot {
  Snapshot snapshot;
  std::string problem;
  bool complete_list = false;  // every optional file that is not there is known not to exist
};
CachedSnapshot look_in_cache(const HubCache& cache, const HubName& name);
CachedSnapshot look_at_commit(const HubCache& cache, const HubName& name, const std::string& commit);

// The companions that a snapshot needs. Errors: those of has_codec.
bool lacks_codec(const HubCache& cache, const Snapshot& snapshot);
bool lacks_tokenizer(const HubCache& cache, const Snapshot& snapshot);

// The first of the candidates that the cache has.
std::optional<CompanionFile> find_companion(const HubCache& cache, const std::vector<Companion>& candidates);

// The snapshot's directory or file; with companions, a directory of links to both. Errors: kIo.
std::string model_path(const HubCache& cache, const HubOptions& options, const Snapshot& snapshot,
                       const std::vector<CompanionFile>& companions);

// Where the directories of links of a model are.
std::string view_directory(const HubOptions& options, const std::string& repo);

}  // namespace csm
