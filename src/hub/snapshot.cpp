#include "hub/snapshot.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/fail.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> paths_of(const HubCache& cache, const Snapshot& snapshot) {
  std::vector<std::string> paths;
  for (const std::string& file : snapshot.weights) {
    paths.push_back(cache.snapshot(snapshot.name.repo, snapshot.commit) + "/" + file);
  }
  return paths;
}

// Points the link at the target in one step, whatever was there.
void point_link(const fs::path& link, const std::string& target) {
  std::error_code error;
  if (fs::is_symlink(link, error) && fs::read_symlink(link, error) == target) return;
  const fs::path made = link.parent_path() / fmt::format(".{}.{}", link.filename().string(), ::getpid());
  fs::remove(made, error);
  fs::create_symlink(target, made, error);
  if (!error) fs::rename(made, link, error);
  if (error) fail(ErrorCode::kIo, "cannot make the link '{}': {}", link.string(), error.message());
}

// A directory that holds exactly these links.
void make_view(const fs::path& directory, const std::vector<std::pair<std::string, std::string>>& links) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(ErrorCode::kIo, "cannot make the directory '{}': {}", directory.string(), error.message());
  std::set<std::string> names;
  for (const auto& [name, target] : links) {
    point_link(directory / name, target);
    names.insert(name);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (names.count(name) == 0 && name.front() != '.') fs::remove(entry.path(), error);
  }
}

}  // namespace

std::vector<std::string> Snapshot::files() const {
  std::vector<std::string> all = needed.small;
  all.insert(all.end(), weights.begin(), weights.end());
  return all;
}

CachedSnapshot look_at_commit(const HubCache& cache, const HubName& name, const std::string& commit) {
  CachedSnapshot cached;
  cached.snapshot.name = name;
  cached.snapshot.commit = commit;
  Snapshot& snapshot = cached.snapshot;
  const std::vector<std::string> names = cache.list_files(name.repo, commit);
  if (names.empty()) {
    cached.problem = "none of its files is there";
    return cached;
  }
  try {
    snapshot.needed = choose_files(names, name.file, name.repo);
    snapshot.weights = snapshot.needed.weights;
    if (!snapshot.needed.index.empty()) {
      const std::string index = cache.snapshot(name.repo, commit) + "/" + snapshot.needed.index;
      snapshot.weights = read_shards(index);
      for (const std::string& shard : snapshot.weights) {
        if (!std::binary_search(names.begin(), names.end(), shard)) cached.problem = "'" + shard + "' is missing";
      }
    }
  } catch (const Error& error) {
    cached.problem = error.what();
    return cached;
  }
  const std::vector<std::string>& absent = snapshot.needed.absent;
  cached.complete_list = std::all_of(absent.begin(), absent.end(), [&](const std::string& file) {
    return cache.is_known_absent(name.repo, commit, file);
  });
  return cached;
}

CachedSnapshot look_in_cache(const HubCache& cache, const HubName& name) {
  const auto commit = cache.find_commit(name.repo, revision_of(name));
  if (commit) return look_at_commit(cache, name, *commit);
  CachedSnapshot cached;
  cached.snapshot.name = name;
  cached.problem = "it is not there";
  return cached;
}

bool lacks_codec(const HubCache& cache, const Snapshot& snapshot) {
  return snapshot.needed.is_model && snapshot.needed.codec.empty() && !has_codec(paths_of(cache, snapshot));
}

bool lacks_tokenizer(const HubCache& cache, const Snapshot& snapshot) {
  return snapshot.needed.is_model && !has_tokenizer(snapshot.needed.small) && needs_tokenizer(paths_of(cache, snapshot));
}

std::optional<CompanionFile> find_companion(const HubCache& cache, const std::vector<Companion>& candidates) {
  for (const Companion& candidate : candidates) {
    const auto commit = cache.find_commit(candidate.repo, "main");
    if (!commit) continue;
    if (const auto path = cache.find(candidate.repo, *commit, candidate.file)) {
      return CompanionFile{fmt::format("{}/{}", candidate.repo, candidate.file), *path};
    }
  }
  return std::nullopt;
}

std::string view_directory(const HubOptions& options, const std::string& repo) {
  std::string name = repo;
  return options.view_directory + "/" + name.replace(name.find('/'), 1, "--");
}

std::string model_path(const HubCache& cache, const HubOptions& options, const Snapshot& snapshot,
                       const std::vector<CompanionFile>& companions) {
  const std::string& repo = snapshot.name.repo;
  const std::string own = cache.snapshot(repo, snapshot.commit);
  const std::string file = snapshot.name.file.empty() ? "" : "/" + snapshot.name.file;
  if (companions.empty()) return own + file;
  std::vector<std::pair<std::string, std::string>> links;
  for (const std::string& name : cache.list_files(repo, snapshot.commit)) {
    if (name.find('/') == std::string::npos) links.emplace_back(name, fs::absolute(own + "/" + name).string());
  }
  for (const CompanionFile& companion : companions) {
    links.emplace_back(fs::path(companion.path).filename().string(), fs::absolute(companion.path).string());
  }
  const std::string view = view_directory(options, repo) + "/" + snapshot.commit;
  make_view(view, links);
  return view + file;
}

}  // namespace csm
