#include "cache/file_weight_cache.h"

#include <algorithm>
#include <filesystem>

#include "base/fail.h"
#include "cache/entry.h"
#include "cache/folder.h"
#include "hub/cache.h"

namespace csm {

namespace fs = std::filesystem;

// Writes until something fails; then lets go of the entry.
class NotedWriter final : public WeightCacheWriter {
 public:
  NotedWriter(FileWeightCache& cache, const std::string& path, EntryKey key, size_t n_tensors)
      : cache_(cache), path_(path), writer_(std::in_place, path, std::move(key), n_tensors) {}

  void add(const std::string& name, DType type, const std::vector<int64_t>& shape,
           std::span<const std::byte> bytes) override {
    attempt([&] {
      if (writer_->n_bytes() + bytes.size() > cache_.options_.limit_bytes) {
        fail(ErrorCode::kResourceLimit, "they take more than the limit of {} bytes", cache_.options_.limit_bytes);
      }
      writer_->add(name, type, shape, bytes);
    });
  }
  void commit() override {
    attempt([&] {
      writer_->commit();
      keep_within_limit(cache_.options_, path_);
    });
  }

 private:
  template <typename F>
  void attempt(F&& f) {
    if (!writer_) return;
    try {
      f();
    } catch (const Error& error) {
      writer_.reset();
      cache_.give_up("converted weights are not kept", error);
    }
  }

  FileWeightCache& cache_;
  std::string path_;
  std::optional<EntryWriter> writer_;
};

template <typename F>
bool FileWeightCache::attempt(const std::string& what, F&& f) {
  if (options_.directory.empty()) return false;
  try {
    f();
    return true;
  } catch (const Error& error) {
    give_up(what, error);
    return false;
  }
}

// One note is enough: after it there is no cache.
void FileWeightCache::give_up(const std::string& what, const Error& error) {
  if (options_.directory.empty()) return;
  notes_.push_back(fmt::format("{}: {} (--weight-cache off, or a directory)", what, error.what()));
  options_.directory.clear();
  content_.reset();
}

FileWeightCache::FileWeightCache(WeightCacheOptions options, const std::vector<std::string>& files)
    : options_(std::move(options)) {
  attempt("the cache of converted weights is not used", [&] { content_.emplace(options_.directory, files); });
}

std::unordered_map<std::string, TensorInfo> FileWeightCache::find(const std::string& settings) {
  std::unordered_map<std::string, TensorInfo> tensors;
  attempt("the cache of converted weights is not used", [&] {
    const EntryKey key{content_->get(), settings};
    const std::string path = entry_path(options_, key);
    std::error_code error;
    if (!fs::exists(path, error)) return;
    try {
      tensors = read_entry(path, key);
      mark_used(path);
    } catch (const DamagedEntry& damage) {
      discard(settings, damage);
    }
  });
  return tensors;
}

void FileWeightCache::discard(const std::string& settings, const DamagedEntry& damage) {
  attempt("the cache of converted weights is not used", [&] {
    notes_.push_back(fmt::format("{}; these weights are converted anew", damage.what()));
    std::error_code error;
    fs::remove(entry_path(options_, {content_->get(), settings}), error);
  });
}

std::unique_ptr<WeightCacheWriter> FileWeightCache::begin(const std::string& settings, size_t n_tensors) {
  std::unique_ptr<WeightCacheWriter> writer;
  attempt("converted weights are not kept", [&] {
    const EntryKey key{content_->get(), settings};
    const std::string path = entry_path(options_, key);
    create_directories_of(path);
    writer = std::make_unique<NotedWriter>(*this, path, key, n_tensors);
  });
  return writer;
}

void FileWeightCache::remember_files() {
  attempt("the state of the model's files is not remembered", [&] { content_->remember(); });
}

}  // namespace csm
