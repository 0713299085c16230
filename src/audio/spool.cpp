#include "audio/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "base/fail.h"

namespace csm {
namespace {

constexpr size_t kBlockSamples = 65'536;

[[noreturn]] void fail_spool(const char* what, int error) {
  fail(ErrorCode::kIo,
       "cannot {} the temporary file that loudness and peaks need (a folder with more room: TMPDIR): {}", what,
       std::error_code(error, std::generic_category()).message());
}

}  // namespace

Spool::~Spool() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Spool::open_file() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) fail_spool("find a folder for", error.value());
  std::string name = (folder / "csm-sound-XXXXXX").string();
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail_spool("create", errno);
  ::unlink(name.c_str());
}

void Spool::flush() {
  const char* next = reinterpret_cast<const char*>(recent_.data());
  size_t n_bytes = recent_.size() * sizeof(float);
  while (n_bytes > 0) {
    const ssize_t n = ::write(descriptor_, next, n_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_spool("write", n < 0 ? errno : ENOSPC);
    next += n;
    n_bytes -= static_cast<size_t>(n);
  }
  recent_.clear();
}

void Spool::push(std::span<const float> samples) {
  recent_.insert(recent_.end(), samples.begin(), samples.end());
  n_samples_ += static_cast<int64_t>(samples.size());
  if (recent_.size() < (in_file() ? kBlockSamples : kMemorySamples)) return;
  if (!in_file()) open_file();
  flush();
}

void Spool::read(const std::function<void(std::span<const float>)>& use) {
  std::vector<float> block(kBlockSamples);
  const int64_t n_in_file = n_samples_ - static_cast<int64_t>(recent_.size());
  for (int64_t start = 0; start < n_in_file;) {
    const size_t n = static_cast<size_t>(std::min<int64_t>(kBlockSamples, n_in_file - start));
    size_t n_done = 0;
    while (n_done < n * sizeof(float)) {
      const ssize_t n_read =
          ::pread(descriptor_, reinterpret_cast<char*>(block.data()) + n_done, n * sizeof(float) - n_done,
                  static_cast<off_t>(static_cast<size_t>(start) * sizeof(float) + n_done));
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) fail_spool("read", n_read < 0 ? errno : EIO);
      n_done += static_cast<size_t>(n_read);
    }
    use(std::span<const float>(block.data(), n));
    start += static_cast<int64_t>(n);
  }
  for (size_t start = 0; start < recent_.size(); start += kBlockSamples) {
    use(std::span<const float>(recent_).subspan(start, std::min(kBlockSamples, recent_.size() - start)));
  }
}

}  // namespace csm
