// Hashes against published vectors: FIPS 180-2 appendix, and git's own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "hub/digest.h"
#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

FileDigests digest_of(const std::string& bytes, DigestKind kind) {
  const std::string path = (fs::temp_directory_path() / ("csm_digest_" + std::to_string(::getpid()))).string();
  std::ofstream(path, std::ios::binary) << bytes;
  uint64_t n_bytes = 0;
  const FileDigests digests = digest_file(path, kind, [&](uint64_t n) { n_bytes += n; });
  EXPECT_EQ(n_bytes, bytes.size());
  fs::remove(path);
  return digests;
}

TEST(Digest, Sha256) {
  EXPECT_EQ(digest_of("abc", DigestKind::kSha256).sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("", DigestKind::kSha256).sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of(std::string(1'000'000, 'a'), DigestKind::kSha256).sha256,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, Sha1AndGitBlob) {
  EXPECT_EQ(digest_of("abc", DigestKind::kSha1).sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(digest_of(std::string(1'000'000, 'a'), DigestKind::kSha1).sha1, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  // printf 'hello\n' | git hash-object --stdin
  EXPECT_EQ(digest_of("hello\n", DigestKind::kSha1).git_sha1, "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(digest_of("", DigestKind::kSha1).git_sha1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(Digest, MissingFile) {
  error_of([] { digest_file("/nowhere/at/all", DigestKind::kSha256, {}); }, ErrorCode::kIo);
}

}  // namespace
}  // namespace csm
