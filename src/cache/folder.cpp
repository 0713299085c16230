#include "cache/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/byte_size.h"
#include "base/fail.h"
#include "cache/content.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecordBytes = uint64_t{1} << 20;
constexpr size_t kTemporaryTail = 7;  // ".XXXXXX" of AtomicFile

struct EntryFile {
  fs::path path;
  uint64_t n_bytes = 0;
  int64_t used_ns = 0;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_entry_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return !name.empty() && name[0] != '.' && path.extension() == ".safetensors";
}

template <typename F>
void for_each_file(const fs::path& directory, F&& f) {
  std::error_code error;
  fs::directory_iterator it(directory, error);
  if (error == std::errc::no_such_file_or_directory) return;
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    if (it->is_regular_file(unreadable)) f(it->path());
  }
  if (error) fail(ErrorCode::kIo, "cannot list '{}': {}", directory.string(), error.message());
}

// The last used first. Entries that vanish meanwhile are none.
std::vector<EntryFile> list_entries(const std::string& directory) {
  std::vector<EntryFile> entries;
  for_each_file(directory, [&](const fs::path& path) {
    struct stat info {};
    if (!is_entry_name(path) || ::stat(path.c_str(), &info) != 0) return;
#ifdef __APPLE__
    const timespec time = info.st_mtimespec;
#else
    const timespec time = info.st_mtim;
#endif
    entries.push_back({path, static_cast<uint64_t>(info.st_size), int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec});
  });
  std::sort(entries.begin(), entries.end(), [](const EntryFile& a, const EntryFile& b) { return a.used_ns > b.used_ns; });
  return entries;
}

// Each record of the cache that can be read, with its own path.
template <typename F>
void for_each_record(const std::string& directory, F&& f) {
  for_each_file(fs::path(directory) / "sources", [&](const fs::path& path) {
    try {
      f(path, parse_source_record(read_text_file(path.string(), kMaxRecordBytes), path.string()));
    } catch (const Error&) {
      // Says nothing; ContentDigest writes it anew.
    }
  });
}

void remove_left_behind(const std::string& directory) {
  for_each_file(directory, [&](const fs::path& path) {
    const std::string name = path.filename().string();
    if (name[0] != '.' || name.size() <= kTemporaryTail + 1) return;
    remove_stale_temporaries((path.parent_path() / name.substr(1, name.size() - kTemporaryTail - 1)).string());
  });
  for_each_record(directory, [](const fs::path& path, const SourceRecord& record) {
    std::error_code error;
    const bool is_gone = std::any_of(record.files.begin(), record.files.end(),
                                     [&](const FileState& file) { return !fs::exists(file.path, error) && !error; });
    if (is_gone) fs::remove(path, error);
  });
}

}  // namespace

WeightCacheOptions WeightCacheOptions::from_environment() {
  WeightCacheOptions options;
  const std::string limit = variable("CSM_WEIGHT_CACHE_LIMIT");
  if (!limit.empty()) options.limit_bytes = parse_byte_size(limit, "CSM_WEIGHT_CACHE_LIMIT");
  options.directory = variable("CSM_WEIGHT_CACHE");
  if (options.directory == "off") options.directory.clear();
  if (!variable("CSM_WEIGHT_CACHE").empty()) return options;
  const std::string caches = variable("XDG_CACHE_HOME");
  const std::string home = variable("HOME");
  if (!caches.empty()) {
    options.directory = caches + "/csm/mlx";
  } else if (!home.empty()) {
    options.directory = home + "/.cache/csm/mlx";
  }
  return options;
}

WeightCacheOptions WeightCacheOptions::resolve(const std::string& weight_cache, const std::string& limit) {
  WeightCacheOptions options = from_environment();
  if (weight_cache != "auto") options.directory = weight_cache == "off" ? "" : weight_cache;
  if (limit != "auto") options.limit_bytes = parse_byte_size(limit, "weight cache limit");
  return options;
}

std::string entry_path(const WeightCacheOptions& options, const EntryKey& key) {
  return (fs::path(options.directory) / key.file_name()).string();
}

void mark_used(const std::string& path) { (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

void keep_within_limit(const WeightCacheOptions& options, const std::string& kept) {
  remove_left_behind(options.directory);
  uint64_t total = 0;
  std::error_code error;
  total += fs::file_size(kept, error);
  for (const EntryFile& entry : list_entries(options.directory)) {
    if (entry.path == fs::path(kept)) continue;
    total += entry.n_bytes;
    if (total <= options.limit_bytes) continue;
    fs::remove(entry.path, error);
    total -= entry.n_bytes;
  }
}

std::vector<CachedWeights> cached_weights(const WeightCacheOptions& options) {
  std::vector<CachedWeights> result;
  if (options.directory.empty()) return result;
  std::unordered_map<std::string, std::string> model_of;  // by content
  for_each_record(options.directory, [&](const fs::path&, const SourceRecord& record) {
    if (!record.files.empty()) model_of[record.content] = record.files.front().path;
  });
  for (const EntryFile& entry : list_entries(options.directory)) {
    CachedWeights weights;
    weights.path = entry.path.string();
    weights.bytes = entry.n_bytes;
    weights.used_unix = entry.used_ns / 1'000'000'000;
    try {
      const EntryKey key = read_entry_key(weights.path);
      weights.content = key.content;
      weights.settings = key.settings;
      const auto model = model_of.find(key.content);
      if (model != model_of.end()) weights.model = model->second;
    } catch (const Error& error) {
      weights.problem = error.what();
    }
    result.push_back(std::move(weights));
  }
  return result;
}

uint64_t clear_cached_weights(const WeightCacheOptions& options) {
  uint64_t n_bytes = 0;
  if (options.directory.empty()) return n_bytes;
  const auto remove = [](const fs::path& path) {
    std::error_code error;
    fs::remove(path, error);
    if (error) fail(ErrorCode::kIo, "cannot remove '{}': {}", path.string(), error.message());
  };
  for (const EntryFile& entry : list_entries(options.directory)) {
    remove(entry.path);
    n_bytes += entry.n_bytes;
  }
  for_each_file(fs::path(options.directory) / "sources", [&](const fs::path& path) {
    if (path.extension() == ".json") remove(path);
  });
  remove_left_behind(options.directory);
  return n_bytes;
}

}  // namespace csm
