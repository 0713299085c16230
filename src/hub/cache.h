// The hub's cache on disk, exactly as Python's huggingface_hub lays it out:
//
//   models--owner--name/refs/main                    the commit that the branch stood at
//   models--owner--name/blobs/ETAG                   a whole, verified file; ETAG.incomplete while it arrives
//   models--owner--name/snapshots/COMMIT/config.json -> ../../blobs/ETAG
//   models--owner--name/.no_exist/COMMIT/FILE        empty: known not to be in that commit
//   .locks/models--owner--name/ETAG.lock             flock: one process fetches a blob
//
// Place in the flow: file_fetch, pull and the list of models stand on it. Holds only a path; any thread and process.
// All names are checked by the callers (names.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"

namespace csm {

class HubCache {
 public:
  explicit HubCache(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  std::string repo_directory(const std::string& repo) const;
  std::string blob_path(const std::string& repo, const std::string& etag) const;
  std::string snapshot(const std::string& repo, const std::string& commit) const;
  std::string lock_path(const std::string& repo, const std::string& etag) const;

  // The path of a file of a snapshot when it is there and whole (its blob exists).
  std::optional<std::string> find(const std::string& repo, const std::string& commit, const std::string& file) const;
  bool is_known_absent(const std::string& repo, const std::string& commit, const std::string& file) const;
  // The commit that a revision stands for, as far as the cache knows.
  std::optional<std::string> find_commit(const std::string& repo, const std::string& revision) const;
  // Names of whole files of a snapshot, with slashes, sorted. Empty when there is no such snapshot.
  std::vector<std::string> list_files(const std::string& repo, const std::string& commit) const;
  // Commits with a snapshot, sorted.
  std::vector<std::string> list_commits(const std::string& repo) const;
  // Revision -> commit, of all refs.
  std::vector<std::pair<std::string, std::string>> list_refs(const std::string& repo) const;
  std::vector<std::string> list_repos() const;

  // All of these create the directories they need. Errors: kIo.
  void write_ref(const std::string& repo, const std::string& revision, const std::string& commit) const;
  void mark_absent(const std::string& repo, const std::string& commit, const std::string& file) const;
  void link(const std::string& repo, const std::string& commit, const std::string& file, const std::string& etag) const;

 private:
  std::string directory_;
};

void create_directories_of(const std::string& file_path);  // Errors: kIo

// A flock on a file that is created where it is missing; released with the object or the process. One thread.
class FileLock {
 public:
  enum class Wait { kUntilFree, kNot };

  // With Wait::kNot an object that is not held() may come back. Errors: kIo (also after an hour of waiting),
  // kCancelled.
  FileLock(const std::string& path, Wait wait, const CancelToken& cancel);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  bool held() const { return descriptor_ >= 0; }

 private:
  bool try_lock(const std::string& path);
  int descriptor_ = -1;
};

}  // namespace csm
