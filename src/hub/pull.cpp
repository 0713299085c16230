// pull_model and resolve_model (csm/hub.h): what a model needs -> the cache -> a path.
#include <csm/hub.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>

#include "base/fail.h"
#include "hub/fetch_jobs.h"
#include "hub/snapshot.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSpareBytes = uint64_t{16} << 20;  // directories, locks, what others write meanwhile

class Pull {
 public:
  Pull(const HubName& name, const HubOptions& options, const HubProgressCallback& on_progress)
      : options_(options), cache_(options.cache_directory), jobs_(options, name.repo, on_progress) {
    snapshot_.name = name;
  }

  PulledModel run() {
    jobs_.run([this](HttpClient& client) { info_ = fetch_repo_info(client, snapshot_.name); });
    snapshot_.commit = info_.commit;
    std::vector<std::string> names;
    for (const RepoFile& file : info_.files) names.push_back(file.name);
    snapshot_.needed = choose_files(names, snapshot_.name.file, repo());
    fetch(snapshot_.needed.small);
    snapshot_.weights = snapshot_.needed.weights;
    if (!snapshot_.needed.index.empty()) {
      snapshot_.weights = read_shards(cache_.snapshot(repo(), info_.commit) + "/" + snapshot_.needed.index);
    }
    fetch(snapshot_.weights);
    std::vector<CompanionFile> companions = fetch_codec();
    if (lacks_tokenizer(cache_, snapshot_)) companions.push_back(fetch_companion(tokenizer_companions(), "tokenizer"));
    for (const std::string& file : snapshot_.needed.absent) cache_.mark_absent(repo(), info_.commit, file);
    // Last: until now the revision stood for what was whole before.
    cache_.write_ref(repo(), revision_of(snapshot_.name), info_.commit);
    return result(companions);
  }

 private:
  const std::string& repo() const { return snapshot_.name.repo; }

  std::vector<RepoFile> files_named(const std::vector<std::string>& names) const {
    std::vector<RepoFile> files;
    for (const std::string& name : names) {
      const RepoFile* file = info_.find(name);
      if (file == nullptr) {
        fail(ErrorCode::kInvalidData, "'{}' of model '{}' names the shard '{}', which the model does not hold",
             snapshot_.needed.index, repo(), name);
      }
      files.push_back(*file);
    }
    return files;
  }

  void fetch(const std::vector<std::string>& names) {
    const std::vector<RepoFile> files = files_named(names);
    check_space(files);
    jobs_.expect(files);
    std::vector<FetchJobs::Job> jobs;
    for (const RepoFile& file : files) {
      jobs.emplace_back([this, &file](HttpClient& client) {
        fetch_file(client, cache_, repo(), info_.commit, file, jobs_.counters());
      });
    }
    jobs_.run(jobs);
  }

  // Before the first byte, not after the last one that fits.
  void check_space(const std::vector<RepoFile>& files) const {
    uint64_t missing = 0;
    for (const RepoFile& file : files) {
      const uint64_t present = bytes_in_cache(cache_, repo(), info_.commit, file);
      missing += std::max(file.n_bytes.value_or(0), present) - present;
    }
    create_directories_of(cache_.directory() + "/x");
    struct statvfs disk {};
    if (missing == 0 || ::statvfs(cache_.directory().c_str(), &disk) != 0) return;
    const uint64_t free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (missing + kSpareBytes <= free) return;
    fail(
        ErrorCode::kResourceLimit,
        "model '{}' needs {:.1f} MB more, and '{}' has {:.1f} MB free; make room, or set HF_HUB_CACHE to a larger disk",
        repo(), static_cast<double>(missing) / 1e6, cache_.directory(), static_cast<double>(free) / 1e6);
  }

  std::vector<CompanionFile> fetch_codec() {
    if (lacks_codec(cache_, snapshot_)) return {fetch_companion(codec_companions(), "codec")};
    std::vector<std::string> paths;
    for (const std::string& file : snapshot_.weights) {
      paths.push_back(cache_.snapshot(repo(), info_.commit) + "/" + file);
    }
    if (!snapshot_.needed.codec.empty() && !has_codec(paths)) {
      fetch({snapshot_.needed.codec});
      snapshot_.weights.push_back(snapshot_.needed.codec);
    }
    return {};
  }

  // From the first repository that gives it. Errors: those of the first that does not.
  CompanionFile fetch_companion(const std::vector<Companion>& candidates, const char* what) {
    if (const auto cached = find_companion(cache_, candidates)) return *cached;
    std::string first_error;
    for (const Companion& candidate : candidates) {
      try {
        jobs_.run([&](HttpClient& client) { fetch_from(client, candidate); });
        if (const auto fetched = find_companion(cache_, {candidate})) return *fetched;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kNotFound) throw;
        if (first_error.empty()) first_error = error.what();
      }
    }
    fail(ErrorCode::kNotFound, "model '{}' has no {} of its own, and the usual one cannot be fetched: {}", repo(), what,
         first_error);
  }

  void fetch_from(HttpClient& client, const Companion& candidate) {
    const HubName name{candidate.repo, candidate.file, ""};
    const RepoInfo info = fetch_repo_info(client, name);
    const RepoFile* file = info.find(candidate.file);
    if (file == nullptr) fail(ErrorCode::kNotFound, "model '{}' has no file '{}'", candidate.repo, candidate.file);
    fetch_file(client, cache_, name.repo, info.commit, *file, jobs_.counters());
    cache_.write_ref(name.repo, revision_of(name), info.commit);
  }

  PulledModel result(const std::vector<CompanionFile>& companions) {
    PulledModel model;
    model.repo = repo();
    model.revision = revision_of(snapshot_.name);
    model.commit = info_.commit;
    model.files = snapshot_.files();
    model.fetched_bytes = jobs_.counters().received_bytes;
    std::error_code error;
    for (const std::string& file : model.files) {
      model.bytes += fs::file_size(cache_.snapshot(repo(), info_.commit) + "/" + file, error);
    }
    for (const CompanionFile& companion : companions) {
      model.companions.push_back(companion.name);
      model.bytes += fs::file_size(companion.path, error);
    }
    model.path = model_path(cache_, options_, snapshot_, companions);
    return model;
  }

  const HubOptions& options_;
  const HubCache cache_;
  FetchJobs jobs_;
  Snapshot snapshot_;
  RepoInfo info_;
};

// The path when all is there; nothing when something is missing that a connection could bring.
std::optional<std::string> path_in_cache(const HubCache& cache, const HubOptions& options, const CachedSnapshot& cached,
                                         std::string& missing) {
  missing = cached.problem;
  if (!missing.empty()) return std::nullopt;
  std::vector<CompanionFile> companions;
  if (lacks_codec(cache, cached.snapshot)) {
    const auto codec = find_companion(cache, codec_companions());
    if (!codec) {
      missing = fmt::format("its codec, '{}' of {}, is not there", codec_companions().front().file,
                            codec_companions().front().repo);
      return std::nullopt;
    }
    companions.push_back(*codec);
  }
  if (lacks_tokenizer(cache, cached.snapshot)) {
    const auto tokenizer = find_companion(cache, tokenizer_companions());
    if (tokenizer) companions.push_back(*tokenizer);
    if (!tokenizer && !options.offline) return std::nullopt;  // offline the codec still works
  }
  return model_path(cache, options, cached.snapshot, companions);
}

void check_names(const HubName& name) {
  const bool valid = is_repo_name(name.repo) && (name.file.empty() || is_repo_file(name.file)) &&
                     (name.revision.empty() || is_revision(name.revision));
  if (!valid) {
    fail(ErrorCode::kInvalidArgument, "'{}' is not the name of a model; expected owner/name or owner/name@revision",
         name.text());
  }
}

}  // namespace

PulledModel pull_model(const HubName& name, const HubOptions& options, const HubProgressCallback& on_progress) {
  options.validate();
  check_names(name);
  if (options.offline) {
    fail(ErrorCode::kNotFound, "cannot fetch model '{}' offline; unset HF_HUB_OFFLINE", name.text());
  }
  return Pull(name, options, on_progress).run();
}

std::string resolve_model(const HubName& name, const HubOptions& options, const HubProgressCallback& on_progress) {
  options.validate();
  check_names(name);
  const HubCache cache(options.cache_directory);
  const CachedSnapshot cached = look_in_cache(cache, name);
  std::string missing;
  const auto path = path_in_cache(cache, options, cached, missing);
  if (path && (options.offline || cached.complete_list)) return *path;
  if (options.offline) {
    fail(ErrorCode::kNotFound,
         "model '{}' is not whole in the cache '{}' ({}), and HF_HUB_OFFLINE forbids to fetch it; "
         "unset that, or run: csm pull {}",
         name.text(), options.cache_directory, missing, name.text());
  }
  try {
    return pull_model(name, options, on_progress).path;
  } catch (const Error& error) {
    if (!path || error.code() != ErrorCode::kIo) throw;
    if (on_progress) {
      HubProgress progress;
      progress.repo = name.repo;
      progress.note = fmt::format("using the copy in the cache: {}", error.what());
      if (!on_progress(progress)) fail(ErrorCode::kCancelled, "interrupted");
    }
    return *path;
  }
}

}  // namespace csm
