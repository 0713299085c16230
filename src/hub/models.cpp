// cached_models and remove_cached_model (csm/hub.h).
#include <csm/hub.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "base/fail.h"
#include "hub/snapshot.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

// A repository of which only the tokenizer or the codec is kept, for models that lack theirs.
bool is_companion(const std::string& repo, const std::vector<std::string>& files) {
  if (files.size() != 1) return false;
  for (const std::vector<Companion>* list : {&tokenizer_companions(), &codec_companions()}) {
    for (const Companion& companion : *list) {
      if (repo == companion.repo && files.front() == companion.file) return true;
    }
  }
  return false;
}

CachedModel describe(const HubCache& cache, const std::string& repo, const std::string& commit) {
  CachedModel model;
  model.repo = repo;
  model.commit = commit;
  model.path = cache.snapshot(repo, commit);
  model.files = cache.list_files(repo, commit);
  for (const auto& [revision, of] : cache.list_refs(repo)) {
    if (of == commit) model.revisions.push_back(revision);
  }
  for (const std::string& file : model.files) {
    struct stat info {};
    if (::stat((model.path + "/" + file).c_str(), &info) != 0) continue;
    model.bytes += static_cast<uint64_t>(info.st_size);
    model.modified_unix = std::max<int64_t>(model.modified_unix, info.st_mtime);
  }
  if (!is_companion(repo, model.files)) model.problem = look_at_commit(cache, {repo, "", commit}, commit).problem;
  return model;
}

// What is stored below a path; links count as nothing.
uint64_t stored_bytes(const fs::path& path) {
  uint64_t n_bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_symlink(ignored) && it->is_regular_file(ignored)) n_bytes += it->file_size(ignored);
  }
  return n_bytes;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(ErrorCode::kIo, "cannot remove '{}': {}", path.string(), error.message());
}

// Every lock of the model's blobs, so that no download of it runs meanwhile. Errors: kIo when one does.
std::vector<std::unique_ptr<FileLock>> lock_all(const HubCache& cache, const std::string& repo) {
  std::vector<std::unique_ptr<FileLock>> locks;
  const fs::path folder = fs::path(cache.lock_path(repo, "x")).parent_path();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".lock") continue;
    locks.push_back(std::make_unique<FileLock>(entry.path().string(), FileLock::Wait::kNot, CancelToken()));
    if (!locks.back()->held()) {
      fail(ErrorCode::kIo, "model '{}' is being downloaded by another process; wait for it, or end it", repo);
    }
  }
  return locks;
}

// Out of sight in one step: what is half removed must not be taken for whole.
uint64_t remove_repo(const HubCache& cache, const std::string& repo) {
  const std::string path = cache.repo_directory(repo);
  const std::string hidden = fmt::format("{}/.locks/removed-{}", cache.directory(), ::getpid());
  create_directories_of(hidden);
  remove_tree(hidden);
  // Where there are no symbolic links the files themselves are in the snapshots.
  const uint64_t n_bytes = stored_bytes(path + "/blobs") + stored_bytes(path + "/snapshots");
  std::error_code error;
  fs::rename(path, hidden, error);
  if (error) fail(ErrorCode::kIo, "cannot remove '{}': {}", path, error.message());
  remove_tree(hidden);
  return n_bytes;
}

// Blobs that a snapshot's links lead to.
std::set<fs::path> blobs_of(const HubCache& cache, const std::string& repo, const std::string& commit) {
  std::set<fs::path> blobs;
  for (const std::string& file : cache.list_files(repo, commit)) {
    std::error_code error;
    const fs::path link = fs::path(cache.snapshot(repo, commit)) / file;
    const fs::path target = fs::read_symlink(link, error);
    if (!error) blobs.insert((link.parent_path() / target).lexically_normal());
  }
  return blobs;
}

uint64_t remove_commit(const HubCache& cache, const std::string& repo, const std::string& commit) {
  std::set<fs::path> blobs = blobs_of(cache, repo, commit);
  for (const std::string& other : cache.list_commits(repo)) {
    if (other == commit) continue;
    for (const fs::path& blob : blobs_of(cache, repo, other)) blobs.erase(blob);
  }
  const fs::path root = cache.repo_directory(repo);
  for (const auto& [revision, of] : cache.list_refs(repo)) {
    if (of == commit) remove_tree(root / "refs" / revision);
  }
  remove_tree(cache.snapshot(repo, commit));
  remove_tree(root / ".no_exist" / commit);
  uint64_t n_bytes = 0;
  for (const fs::path& blob : blobs) {
    std::error_code error;
    if (!fs::is_symlink(blob, error)) n_bytes += fs::file_size(blob, error);
    remove_tree(blob);
  }
  return n_bytes;
}

}  // namespace

std::vector<CachedModel> cached_models(const HubOptions& options) {
  const HubCache cache(options.cache_directory);
  std::vector<CachedModel> models;
  for (const std::string& repo : cache.list_repos()) {
    for (const std::string& commit : cache.list_commits(repo)) models.push_back(describe(cache, repo, commit));
  }
  return models;
}

uint64_t remove_cached_model(const HubName& name, const HubOptions& options) {
  const HubCache cache(options.cache_directory);
  if (!name.file.empty()) {
    fail(ErrorCode::kInvalidArgument, "'{}' names a file; models are removed whole: {}", name.text(), name.repo);
  }
  const std::vector<std::string> repos = cache.list_repos();
  if (std::find(repos.begin(), repos.end(), name.repo) == repos.end()) {
    fail(ErrorCode::kNotFound, "model '{}' is not in the cache '{}'{}", name.repo, cache.directory(),
         did_you_mean(name.repo, repos));
  }
  const auto locks = lock_all(cache, name.repo);
  const std::vector<std::string> commits = cache.list_commits(name.repo);
  const auto commit = name.revision.empty() ? std::nullopt : cache.find_commit(name.repo, name.revision);
  if (!name.revision.empty() && (!commit || std::find(commits.begin(), commits.end(), *commit) == commits.end())) {
    fail(ErrorCode::kNotFound, "model '{}' has no revision '{}' in the cache '{}'", name.repo, name.revision,
         cache.directory());
  }
  const bool whole = !commit || commits.size() == 1;
  remove_tree(fs::path(view_directory(options, name.repo)) / (whole ? "" : *commit));
  return whole ? remove_repo(cache, name.repo) : remove_commit(cache, name.repo, *commit);
}

}  // namespace csm
