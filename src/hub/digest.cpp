#include "hub/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/fail.h"

namespace csm {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

class Digest {
 public:
  explicit Digest(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new()) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1);
  }

  void update(const void* data, size_t n_bytes) { check(EVP_DigestUpdate(context_.get(), data, n_bytes) == 1); }

  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_bytes = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest, &n_bytes) == 1);
    std::string text;
    for (unsigned i = 0; i < n_bytes; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  static void check(bool done) {
    if (!done) fail(ErrorCode::kInternal, "the hash functions of OpenSSL do not work");
  }

  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// Closes on scope exit.
struct Reader {
  explicit Reader(const std::string& file) : path(file), descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (descriptor < 0 || ::fstat(descriptor, &info) != 0) fail_io();
    n_bytes = static_cast<uint64_t>(info.st_size);
  }
  ~Reader() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[noreturn]] void fail_io() const { fail(ErrorCode::kIo, "cannot read '{}': {}", path, std::strerror(errno)); }

  // 0 at the end.
  size_t read(std::vector<char>& piece) const {
    for (;;) {
      const ssize_t n = ::read(descriptor, piece.data(), piece.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) fail_io();
    }
  }

  std::string path;
  int descriptor;
  uint64_t n_bytes = 0;
};

}  // namespace

FileDigests digest_file(const std::string& path, DigestKind kind, const std::function<void(uint64_t)>& on_bytes) {
  const Reader reader(path);
  const bool is_sha256 = kind == DigestKind::kSha256;
  Digest plain(is_sha256 ? EVP_sha256() : EVP_sha1());
  Digest git(EVP_sha1());
  const std::string header = fmt::format("blob {}", reader.n_bytes);
  git.update(header.c_str(), header.size() + 1);  // with its final zero
  std::vector<char> piece(kPieceBytes);
  for (size_t n = 0; (n = reader.read(piece)) > 0;) {
    plain.update(piece.data(), n);
    if (!is_sha256) git.update(piece.data(), n);
    if (on_bytes) on_bytes(n);
  }
  FileDigests digests;
  (is_sha256 ? digests.sha256 : digests.sha1) = plain.hex();
  if (!is_sha256) digests.git_sha1 = git.hex();
  return digests;
}

std::string sha256_of(const std::string& text) {
  Digest digest(EVP_sha256());
  digest.update(text.data(), text.size());
  return digest.hex();
}

}  // namespace csm
