// FileLock (cache.h): the same flock that Python's filelock takes.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/fail.h"
#include "hub/cache.h"

namespace csm {
namespace {

constexpr auto kPause = std::chrono::milliseconds(50);
constexpr auto kLongestWait = std::chrono::hours(1);
constexpr mode_t kMode = 0664;  // as huggingface_hub makes them, for caches that a group shares

// Whether the path still names the file that was locked: a lock file may be removed by the one who held it before.
bool is_still(const std::string& path, int descriptor) {
  struct stat locked {};
  struct stat named {};
  return ::fstat(descriptor, &locked) == 0 && ::stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
         locked.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(const std::string& path, Wait wait, const CancelToken& cancel) {
  create_directories_of(path);
  const auto begin = std::chrono::steady_clock::now();
  while (!try_lock(path)) {
    if (wait == Wait::kNot) return;
    if (cancel.cancelled()) fail(ErrorCode::kCancelled, "the download was interrupted");
    if (std::chrono::steady_clock::now() - begin > kLongestWait) {
      fail(ErrorCode::kIo, "another process has held '{}' for an hour; end it and try again", path);
    }
    std::this_thread::sleep_for(kPause);
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);  // which releases it
}

bool FileLock::try_lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode);
  if (descriptor < 0) fail(ErrorCode::kIo, "cannot open the lock '{}': {}", path, std::strerror(errno));
  const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  const int error = errno;
  if (locked && is_still(path, descriptor)) {
    descriptor_ = descriptor;
    return true;
  }
  ::close(descriptor);
  if (!locked && error != EWOULDBLOCK && error != EINTR) {
    fail(ErrorCode::kIo, "cannot lock '{}': {}; put the cache on a file system with locks (HF_HUB_CACHE)", path,
         std::strerror(error));
  }
  return false;
}

}  // namespace csm
