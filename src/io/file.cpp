#include "io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <random>
#include <system_error>

#include "base/fail.h"

namespace csm {
namespace {

constexpr size_t kMaxStemBytes = 200;  // a long final name must not make the temporary one exceed the usual limit of 255 bytes
constexpr size_t kRandomLetters = 6;
constexpr int kMaxSymlinks = 40;  // as Linux itself follows

std::string reason(int error) { return std::error_code(error, std::generic_category()).message(); }

// Closes on scope exit, for the paths on which an error is already on its way.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

// Opens for reading and reports what is there; throws when it cannot be opened or is a directory.
int open_to_read(const std::string& path, int extra_flags, struct stat& info) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | extra_flags);
  if (descriptor < 0) {
    const int error = errno;
    const bool missing = error == ENOENT || error == ENOTDIR;
    if (missing) fail(ErrorCode::kNotFound, "file '{}' does not exist ({})", path, reason(error));
    fail(ErrorCode::kIo, "cannot open '{}': {}", path, reason(error));
  }
  if (::fstat(descriptor, &info) != 0) {
    const int error = errno;
    ::close(descriptor);
    fail(ErrorCode::kIo, "cannot examine '{}': {}", path, reason(error));
  }
  if (S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    fail(ErrorCode::kInvalidData, "'{}' is a directory; expected a file", path);
  }
  return descriptor;
}

// Follows symbolic links whose end need not exist, so that writing through a link keeps the link.
std::string resolve_links(const std::string& path) {
  std::filesystem::path current = path;
  for (int i = 0; i < kMaxSymlinks; ++i) {
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(current, error);
    if (error) return current.string();
    current = target.is_absolute() ? target : current.parent_path() / target;
  }
  fail(ErrorCode::kIo, "cannot write '{}': more than {} symbolic links in a row", path, kMaxSymlinks);
}

void check_directory(const std::string& path, const std::string& directory) {
  std::error_code error;
  const auto status = std::filesystem::status(directory, error);
  if (status.type() == std::filesystem::file_type::directory) return;
  if (status.type() == std::filesystem::file_type::not_found) {
    fail(ErrorCode::kIo, "cannot write '{}': directory '{}' does not exist; create it first", path, directory);
  }
  if (error) fail(ErrorCode::kIo, "cannot write '{}': directory '{}': {}", path, directory, error.message());
  fail(ErrorCode::kIo, "cannot write '{}': '{}' is not a directory", path, directory);
}

std::string temporary_stem(const std::filesystem::path& target) {
  return fmt::format(".{}.", target.filename().string().substr(0, kMaxStemBytes));
}

std::string temporary_name(const std::filesystem::path& target) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string name = temporary_stem(target);
  std::random_device random;
  for (size_t i = 0; i < kRandomLetters; ++i) name += kLetters[random() % kLetters.size()];
  return (target.parent_path() / name).string();
}

// Locks a new file for as long as it is open. False when somebody who tidied up was quicker, and removed it.
bool claim(int descriptor) {
  (void)::flock(descriptor, LOCK_EX | LOCK_NB);  // file systems without locks: then nobody tidies up either
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 && info.st_nlink > 0;
}

// mkstemp would leave mode 0600, and reading the umask to repair that is not thread-safe: so open(2) applies it.
int create_temporary(const std::string& target, std::string& temporary) {
  for (int attempt = 0;; ++attempt) {
    temporary = temporary_name(target);
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0 && claim(descriptor)) return descriptor;
    if (descriptor >= 0) {
      ::close(descriptor);
      continue;
    }
    if (errno == EEXIST && attempt < 100) continue;
    fail(ErrorCode::kIo, "cannot write '{}': cannot create '{}': {}", target, temporary, reason(errno));
  }
}

}  // namespace

std::string read_text_file(const std::string& path, uint64_t max_bytes) {
  struct stat info {};
  const Descriptor file(open_to_read(path, 0, info));
  std::string text;
  constexpr size_t kChunkBytes = 1 << 16;
  if (S_ISREG(info.st_mode)) {
    text.reserve(static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(info.st_size), max_bytes)) + kChunkBytes);
  }
  for (;;) {
    const size_t used = text.size();
    text.resize(used + kChunkBytes);
    const ssize_t n = ::read(file.get(), text.data() + used, kChunkBytes);
    if (n < 0 && errno != EINTR) fail(ErrorCode::kIo, "cannot read '{}': {}", path, reason(errno));
    text.resize(used + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (text.size() > max_bytes) {
      fail(ErrorCode::kInvalidData, "'{}' is too large: expected at most {} bytes", path, max_bytes);
    }
    if (n == 0) return text;
  }
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  struct stat info {};
  // Without O_NONBLOCK, opening a named pipe would wait for a writer before it could be refused.
  const Descriptor file(open_to_read(path, O_NONBLOCK, info));
  if (!S_ISREG(info.st_mode)) {
    fail(ErrorCode::kInvalidData, "'{}' is not a regular file; a pipe or device cannot be mapped into memory", path);
  }
  const auto size = static_cast<size_t>(info.st_size);
  const std::byte* data = nullptr;
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (address == MAP_FAILED) {
      fail(ErrorCode::kIo, "cannot map '{}' ({} bytes) into memory: {}", path, size, reason(errno));
    }
    data = static_cast<const std::byte*>(address);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void release_pages(std::span<const std::byte> bytes) {
  const auto page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page_bytes - 1) / page_bytes * page_bytes;
  const auto end = (reinterpret_cast<uintptr_t>(bytes.data()) + bytes.size()) / page_bytes * page_bytes;
  // Advice that fails leaves things as they were.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void remove_stale_temporaries(const std::string& path) {
  const std::filesystem::path target(path);
  const std::string stem = temporary_stem(target);
  std::error_code error;
  const std::filesystem::path directory = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.size() != stem.size() + kRandomLetters || name.compare(0, stem.size(), stem) != 0) continue;
    const Descriptor file(::open(it->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    // Its writer held the lock as long as it lived.
    if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
  }
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  struct stat info {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) fail(ErrorCode::kIo, "cannot write '{}': it is a directory", path_);
  if (exists && !S_ISREG(info.st_mode)) {  // a device or a pipe: must not be replaced by a file
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail(ErrorCode::kIo, "cannot open '{}' for writing: {}", path_, reason(errno));
    return;
  }
  if (exists && ::access(path_.c_str(), W_OK) != 0) {
    fail(ErrorCode::kIo, "cannot write '{}': {}", path_, reason(errno));
  }
  const std::string asked = path_;
  path_ = resolve_links(path_);
  const std::filesystem::path target(path_);
  if (!target.has_filename()) fail(ErrorCode::kIo, "cannot write '{}': the path names no file", asked);
  check_directory(asked, target.has_parent_path() ? target.parent_path().string() : ".");
  descriptor_ = create_temporary(path_, temporary_);
  if (exists) (void)::fchmod(descriptor_, info.st_mode & 07777);  // as overwriting in place would keep it
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t n_bytes) {
  const char* next = static_cast<const char*>(data);
  while (n_bytes > 0) {
    // Systems refuse single writes of 2 GiB and more.
    const ssize_t n = ::write(descriptor_, next, std::min<size_t>(n_bytes, size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorCode::kIo, "cannot write '{}': {}", path_, reason(errno));
    if (n == 0) fail(ErrorCode::kIo, "cannot write '{}': the system took no more bytes", path_);
    next += n;
    n_bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::seek(uint64_t offset) {
  const bool representable = offset <= static_cast<uint64_t>(std::numeric_limits<off_t>::max());
  if (!representable || ::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) {
    fail(ErrorCode::kIo, "cannot move to byte {} of '{}': {}", offset, path_,
         reason(representable ? errno : EOVERFLOW));
  }
}

void AtomicFile::commit() {
  if (descriptor_ < 0) fail(ErrorCode::kInternal, "'{}' was already committed", path_);
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) fail(ErrorCode::kIo, "cannot finish writing '{}': {}", path_, reason(errno));
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(ErrorCode::kIo, "cannot rename '{}' to '{}': {}", temporary_, path_, reason(errno));
  }
  temporary_.clear();
}

}  // namespace csm
