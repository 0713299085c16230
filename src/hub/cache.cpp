#include "hub/cache.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/fail.h"
#include "hub/names.h"
#include "io/file.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "models--";
constexpr uint64_t kMaxRefBytes = 4096;
constexpr size_t kMaxListed = 100'000;

std::string folder_name(const std::string& repo) {
  std::string name = kPrefix + repo;
  return name.replace(name.find('/'), 1, "--");
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);  // follows links: one to a blob that is gone does not count
}

// Entries of a directory that may be missing; names sorted.
std::vector<fs::directory_entry> entries(const std::string& path) {
  std::vector<fs::directory_entry> found;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end && found.size() < kMaxListed;
       it.increment(error)) {
    found.push_back(*it);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Regular files below a directory (or links to some), as paths relative to it.
std::vector<std::string> files_below(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end && names.size() < kMaxListed;
       it.increment(error)) {
    std::error_code broken;
    if (fs::is_regular_file(it->path(), broken)) names.push_back(it->path().lexically_relative(path).generic_string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

void create_directories_of(const std::string& file_path) {
  const fs::path folder = fs::path(file_path).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorCode::kIo, "cannot make the directory '{}': {}", folder.string(), error.message());
}

std::string HubCache::repo_directory(const std::string& repo) const { return directory_ + "/" + folder_name(repo); }

std::string HubCache::blob_path(const std::string& repo, const std::string& etag) const {
  return repo_directory(repo) + "/blobs/" + etag;
}

std::string HubCache::snapshot(const std::string& repo, const std::string& commit) const {
  return repo_directory(repo) + "/snapshots/" + commit;
}

std::string HubCache::lock_path(const std::string& repo, const std::string& etag) const {
  return directory_ + "/.locks/" + folder_name(repo) + "/" + etag + ".lock";
}

std::optional<std::string> HubCache::find(const std::string& repo, const std::string& commit,
                                          const std::string& file) const {
  const std::string path = snapshot(repo, commit) + "/" + file;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  return path;
}

bool HubCache::is_known_absent(const std::string& repo, const std::string& commit, const std::string& file) const {
  return exists(repo_directory(repo) + "/.no_exist/" + commit + "/" + file);
}

std::optional<std::string> HubCache::find_commit(const std::string& repo, const std::string& revision) const {
  const std::string path = repo_directory(repo) + "/refs/" + revision;
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    const std::string commit = read_text_file(path, kMaxRefBytes);
    if (is_commit(commit)) return commit;  // else a leftover of a crash: as if it were not there
  }
  if (is_commit(revision)) return revision;
  return std::nullopt;
}

std::vector<std::string> HubCache::list_files(const std::string& repo, const std::string& commit) const {
  return files_below(snapshot(repo, commit));
}

std::vector<std::string> HubCache::list_commits(const std::string& repo) const {
  std::vector<std::string> commits;
  for (const fs::directory_entry& entry : entries(repo_directory(repo) + "/snapshots")) {
    std::error_code error;
    const std::string name = entry.path().filename().string();
    if (is_commit(name) && entry.is_directory(error)) commits.push_back(name);
  }
  return commits;
}

std::vector<std::pair<std::string, std::string>> HubCache::list_refs(const std::string& repo) const {
  std::vector<std::pair<std::string, std::string>> refs;
  for (const std::string& revision : files_below(repo_directory(repo) + "/refs")) {
    if (!is_revision(revision)) continue;
    if (const auto commit = find_commit(repo, revision)) refs.emplace_back(revision, *commit);
  }
  return refs;
}

std::vector<std::string> HubCache::list_repos() const {
  std::vector<std::string> repos;
  for (const fs::directory_entry& entry : entries(directory_)) {
    std::string name = entry.path().filename().string();
    std::error_code error;
    if (name.compare(0, std::strlen(kPrefix), kPrefix) != 0 || !entry.is_directory(error)) continue;
    name.erase(0, std::strlen(kPrefix));
    const size_t separator = name.find("--");
    if (separator == std::string::npos) continue;
    const std::string repo = name.substr(0, separator) + "/" + name.substr(separator + 2);
    if (is_repo_name(repo)) repos.push_back(repo);
  }
  return repos;
}

void HubCache::write_ref(const std::string& repo, const std::string& revision, const std::string& commit) const {
  if (revision == commit || find_commit(repo, revision) == commit) return;
  const std::string path = repo_directory(repo) + "/refs/" + revision;
  create_directories_of(path);
  // Made among the blobs: Python takes every file below refs/ for a revision.
  static std::atomic<unsigned> n_made{0};
  const std::string made = blob_path(repo, fmt::format("{}.{}-{}.ref.incomplete", commit, ::getpid(), n_made++));
  create_directories_of(made);
  AtomicFile file(made);
  file.write(commit);
  file.commit();
  if (std::rename(made.c_str(), path.c_str()) != 0) {
    fail(ErrorCode::kIo, "cannot write '{}': {}", path, std::strerror(errno));
  }
}

void HubCache::mark_absent(const std::string& repo, const std::string& commit, const std::string& file) const {
  const std::string path = repo_directory(repo) + "/.no_exist/" + commit + "/" + file;
  if (exists(path)) return;
  create_directories_of(path);
  AtomicFile(path).commit();
}

void HubCache::link(const std::string& repo, const std::string& commit, const std::string& file,
                    const std::string& etag) const {
  const std::string path = snapshot(repo, commit) + "/" + file;
  create_directories_of(path);
  std::string target = "../../blobs/" + etag;
  for (size_t i = 0; i < file.size(); ++i) {
    if (file[i] == '/') target.insert(0, "../");
  }
  std::error_code error;
  if (fs::is_symlink(path, error) && fs::read_symlink(path, error) == target) return;
  fs::create_symlink(target, path, error);
  if (error == std::errc::file_exists) {  // an older link to a blob that is gone, or another process's
    fs::remove(path, error);
    fs::create_symlink(target, path, error);
  }
  if (error && fs::read_symlink(path, error) != target) {
    fail(ErrorCode::kIo, "cannot make the link '{}': {}", path, error.message());
  }
}

}  // namespace csm
