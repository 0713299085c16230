#include "hub/file_fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/fail.h"
#include "hub/digest.h"
#include "hub/names.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDownloads = 2;  // of one file: what is wrong twice stays wrong

std::optional<uint64_t> size_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const uintmax_t n_bytes = fs::file_size(path, error);
  if (error) return std::nullopt;
  return n_bytes;
}

void remove_file(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) fail(ErrorCode::kIo, "cannot remove '{}': {}", path, error.message());
}

// Counts up while it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& counter) : counter_(counter) { ++counter_; }
  ~Counted() { --counter_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& counter_;
};

// ETAG.incomplete: bytes from the start of the file, as far as they came. Errors: kIo, kResourceLimit.
class PartialFile {
 public:
  PartialFile(std::string path, FetchCounters& counters) : path_(std::move(path)), counters_(counters) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    struct stat info {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) fail_io("open");
    n_bytes_ = static_cast<uint64_t>(info.st_size);
    counters_.present_bytes += n_bytes_;
  }
  ~PartialFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  uint64_t n_bytes() const { return n_bytes_; }

  void clear() {
    if (::ftruncate(descriptor_, 0) != 0) fail_io("empty");
    counters_.present_bytes -= n_bytes_;
    n_bytes_ = 0;
  }

  // At its own place rather than at the end: where locks do not work, two writers write the same bytes.
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(n_bytes_));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail_io("write");
      n_bytes_ += static_cast<uint64_t>(n);
      counters_.present_bytes += static_cast<uint64_t>(n);
      counters_.received_bytes += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  // On the disk before it gets its final name: a power cut must not leave a hole under it.
  void sync() const {
    if (::fsync(descriptor_) != 0) fail_io("finish");
  }

 private:
  [[noreturn]] void fail_io(const char* what) const {
    const int error = errno;
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    fail(full ? ErrorCode::kResourceLimit : ErrorCode::kIo, "cannot {} '{}': {}{}", what, path_, std::strerror(error),
         full ? "; make room, or set HF_HUB_CACHE to a larger disk; the next download goes on from here" : "");
  }

  std::string path_;
  FetchCounters& counters_;
  int descriptor_ = -1;
  uint64_t n_bytes_ = 0;
};

// "bytes 100-199/200" -> 100; nothing when it is something else or the file's size is another than expected.
std::optional<uint64_t> range_begin(const std::string& header, std::optional<uint64_t> n_bytes) {
  unsigned long long begin = 0, end = 0, total = 0;
  if (std::sscanf(header.c_str(), "bytes %llu-%llu/%llu", &begin, &end, &total) != 3) return std::nullopt;
  if (end < begin || (n_bytes && total != *n_bytes)) return std::nullopt;
  return begin;
}

// One file on its way.
class Download {
 public:
  Download(HttpClient& client, const HubCache& cache, const std::string& repo, const std::string& commit,
           const RepoFile& file, FetchCounters& counters)
      : client_(client), cache_(cache), repo_(repo), commit_(commit), file_(file), counters_(counters) {}

  void run() {
    what_ = fmt::format("'{}' of model '{}'", file_.name, repo_);
    metadata_ = fetch_file_metadata(client_, repo_, commit_, file_.name);
    n_bytes_ = metadata_.n_bytes ? metadata_.n_bytes : file_.n_bytes;
    if (metadata_.n_bytes && file_.n_bytes && *metadata_.n_bytes != *file_.n_bytes) {
      fail(ErrorCode::kInvalidData, "{} has {} bytes in the list of files and {} by itself; try again later", what_,
           *file_.n_bytes, *metadata_.n_bytes);
    }
    blob_ = cache_.blob_path(repo_, metadata_.etag);
    create_directories_of(blob_);
    const FileLock lock = wait_for_lock();
    if (!has_blob()) fetch_blob();
    cache_.link(repo_, commit_, file_.name, metadata_.etag);
  }

 private:
  FileLock wait_for_lock() {
    const Counted waiting(counters_.n_waiting);
    return FileLock(cache_.lock_path(repo_, metadata_.etag), FileLock::Wait::kUntilFree, client_.cancel());
  }

  bool has_blob() const {
    const auto present = size_of(blob_);
    if (!present || (n_bytes_ && *present != *n_bytes_)) return false;
    counters_.present_bytes += *present;
    return true;
  }

  void fetch_blob() {
    const std::string partial_path = blob_ + ".incomplete";
    std::string wrong;
    for (int i = 0; i < kMaxDownloads; ++i) {
      {
        PartialFile partial(partial_path, counters_);
        if (n_bytes_ && partial.n_bytes() > *n_bytes_) partial.clear();
        receive(partial);
        partial.sync();
        wrong = check(partial_path, partial.n_bytes());
        if (!wrong.empty()) partial.clear();
      }
      if (wrong.empty()) return put_in_place(partial_path);
      remove_file(partial_path);
    }
    fail(ErrorCode::kInvalidData, "{} came {}; nothing of it is kept; try again later", what_, wrong);
  }

  void put_in_place(const std::string& partial_path) const {
    if (std::rename(partial_path.c_str(), blob_.c_str()) != 0) {
      fail(ErrorCode::kIo, "cannot rename '{}' to '{}': {}", partial_path, blob_, std::strerror(errno));
    }
  }

  // Until all bytes are there.
  void receive(PartialFile& partial) {
    Patience patience(client_.options(), client_.cancel());
    uint64_t most = partial.n_bytes();
    while (!n_bytes_ || partial.n_bytes() < *n_bytes_) {
      const uint64_t before = partial.n_bytes();
      const HttpAnswer answer = client_.send(request_from(partial));
      if (partial.n_bytes() > most) patience.progress();
      most = std::max(most, partial.n_bytes());
      if (answer.status == 200 || answer.status == 206) {
        if (!n_bytes_) return;  // the transfer's own length was reached
        if (partial.n_bytes() >= *n_bytes_) return;
      }
      if (answer.status == 416) {  // what is there does not fit the file
        partial.clear();
        if (before > 0) continue;
      }
      const bool cut_short = answer.ok();
      if (!cut_short && !Patience::is_passing(answer)) fail_refused(client_, answer, {repo_, file_.name, commit_});
      if (patience.pause(answer)) continue;
      if (!cut_short) fail_refused(client_, answer, {repo_, file_.name, commit_});
      fail(ErrorCode::kIo, "{} ends after {} of {} bytes each time; try again later", what_, partial.n_bytes(),
           *n_bytes_);
    }
  }

  HttpRequest request_from(PartialFile& partial) const {
    HttpRequest request;
    request.url = file_url(client_.options(), repo_, commit_, file_.name);
    request.range_from = partial.n_bytes();
    request.sink = [this, &partial, begun = false](const HttpAnswer& head, std::string_view bytes) mutable {
      if (!begun) begin(head, partial);
      begun = true;
      if (n_bytes_ && bytes.size() > *n_bytes_ - partial.n_bytes()) {
        fail(ErrorCode::kInvalidData, "{} is longer than the {} bytes that were announced", what_, *n_bytes_);
      }
      partial.append(bytes);
    };
    return request;
  }

  // A server that does not know ranges sends the whole file again.
  void begin(const HttpAnswer& head, PartialFile& partial) const {
    if (head.status != 206) {
      if (partial.n_bytes() > 0) partial.clear();
      return;
    }
    if (range_begin(head.header("content-range"), n_bytes_) != partial.n_bytes()) {
      partial.clear();
      fail(ErrorCode::kIo, "{}: the server sent another part ('{}') than was asked for; try again", what_,
           head.header("content-range"));
    }
  }

  // "" when the bytes are the file; else what is wrong with them.
  std::string check(const std::string& path, uint64_t n_bytes) {
    if (n_bytes_ && n_bytes != *n_bytes_) return fmt::format("with {} bytes instead of {}", n_bytes, *n_bytes_);
    const Counted verifying(counters_.n_verifying);
    const auto watch = [this](uint64_t) {
      if (client_.cancel().cancelled()) fail(ErrorCode::kCancelled, "the download was interrupted");
    };
    const std::string sha256 = is_sha256(metadata_.etag) ? metadata_.etag : file_.sha256;
    if (!sha256.empty()) {
      const std::string found = digest_file(path, DigestKind::kSha256, watch).sha256;
      if (found != sha256) return fmt::format("with SHA-256 {} instead of {}", found, sha256);
    }
    // The blob id of an LFS file is the hash of its pointer.
    const std::string sha1 = is_commit(metadata_.etag) ? metadata_.etag : sha256.empty() ? file_.blob_id : "";
    if (!sha1.empty()) {
      const FileDigests found = digest_file(path, DigestKind::kSha1, watch);
      if (found.git_sha1 != sha1 && found.sha1 != sha1) {
        return fmt::format("with hash {} instead of {}", found.git_sha1, sha1);
      }
    }
    return "";
  }

  HttpClient& client_;
  const HubCache& cache_;
  const std::string& repo_;
  const std::string& commit_;
  const RepoFile& file_;
  FetchCounters& counters_;
  std::string what_;  // for messages
  FileMetadata metadata_;
  std::optional<uint64_t> n_bytes_;
  std::string blob_;
};

}  // namespace

void fetch_file(HttpClient& client, const HubCache& cache, const std::string& repo, const std::string& commit,
                const RepoFile& file, FetchCounters& counters) {
  if (const auto path = cache.find(repo, commit, file.name)) {
    counters.present_bytes += size_of(*path).value_or(0);
  } else {
    Download(client, cache, repo, commit, file, counters).run();
  }
  ++counters.n_done;
}

uint64_t bytes_in_cache(const HubCache& cache, const std::string& repo, const std::string& commit,
                        const RepoFile& file) {
  if (const auto path = cache.find(repo, commit, file.name)) return size_of(*path).value_or(0);
  const std::string etag = file.sha256.empty() ? file.blob_id : file.sha256;
  if (etag.empty()) return 0;
  const std::string blob = cache.blob_path(repo, etag);
  const auto whole = size_of(blob);
  return whole ? *whole : size_of(blob + ".incomplete").value_or(0);
}

}  // namespace csm
