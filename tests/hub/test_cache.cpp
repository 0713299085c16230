// The cache on disk: the layout, its links, its locks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "hub/cache.h"
#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, 'c');

class HubCacheTest : public ::testing::Test {
 protected:
  HubCacheTest()
      : root_((fs::temp_directory_path() / ("csm_cache_" + std::to_string(::getpid()))).string()), cache_(root_) {
    fs::create_directories(root_);
  }
  ~HubCacheTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  std::string root_;
  HubCache cache_;
};

TEST_F(HubCacheTest, LinksAreRelativeAndReplaced) {
  write(cache_.blob_path("o/n", "one"), "1");
  write(cache_.blob_path("o/n", "two"), "22");
  cache_.link("o/n", kCommit, "config.json", "one");
  cache_.link("o/n", kCommit, "a/b/c.json", "two");
  const std::string snapshot = root_ + "/models--o--n/snapshots/" + kCommit;
  EXPECT_EQ(fs::read_symlink(snapshot + "/config.json"), "../../blobs/one");
  EXPECT_EQ(fs::read_symlink(snapshot + "/a/b/c.json"), "../../../../blobs/two");
  EXPECT_EQ(read_bytes(snapshot + "/a/b/c.json"), "22");
  cache_.link("o/n", kCommit, "config.json", "two");
  EXPECT_EQ(read_bytes(snapshot + "/config.json"), "22");
  cache_.link("o/n", kCommit, "config.json", "gone");
  EXPECT_FALSE(cache_.find("o/n", kCommit, "config.json")) << "a link to nothing is no file";
  EXPECT_EQ(cache_.list_files("o/n", kCommit), std::vector<std::string>{"a/b/c.json"});
}

TEST_F(HubCacheTest, RefsArePlainCommits) {
  EXPECT_FALSE(cache_.find_commit("o/n", "main"));
  EXPECT_EQ(cache_.find_commit("o/n", kCommit), kCommit);
  cache_.write_ref("o/n", "main", kCommit);
  cache_.write_ref("o/n", "refs/pr/1", kCommit);
  EXPECT_EQ(read_bytes(root_ + "/models--o--n/refs/main"), kCommit) << "without a line break";
  EXPECT_EQ(cache_.find_commit("o/n", "refs/pr/1"), kCommit);
  EXPECT_EQ(cache_.list_refs("o/n").size(), 2u);
  cache_.write_ref("o/n", "main", std::string(40, 'd'));
  EXPECT_EQ(cache_.find_commit("o/n", "main"), std::string(40, 'd'));
  write(root_ + "/models--o--n/refs/torn", "cc");
  EXPECT_FALSE(cache_.find_commit("o/n", "torn"));
  EXPECT_TRUE(fs::is_empty(root_ + "/models--o--n/blobs")) << "nothing is left of writing them";
}

TEST_F(HubCacheTest, KnownAbsence) {
  EXPECT_FALSE(cache_.is_known_absent("o/n", kCommit, "tokenizer.json"));
  cache_.mark_absent("o/n", kCommit, "tokenizer.json");
  EXPECT_TRUE(cache_.is_known_absent("o/n", kCommit, "tokenizer.json"));
  EXPECT_TRUE(fs::is_regular_file(root_ + "/models--o--n/.no_exist/" + kCommit + "/tokenizer.json"));
}

TEST_F(HubCacheTest, OtherThingsInTheCacheAreLeftAlone) {
  for (const char* name :
       {"models--a--b", "datasets--a--c", "models--broken", "models--..--..", ".locks", "version.txt"}) {
    fs::create_directories(root_ + "/" + name);
  }
  EXPECT_EQ(cache_.list_repos(), std::vector<std::string>{"a/b"});
}

TEST_F(HubCacheTest, LocksExcludeEachOther) {
  const std::string path = cache_.lock_path("o/n", "etag");
  EXPECT_EQ(path, root_ + "/.locks/models--o--n/etag.lock");
  auto first = std::make_unique<FileLock>(path, FileLock::Wait::kUntilFree, CancelToken());
  EXPECT_TRUE(first->held());
  EXPECT_FALSE(FileLock(path, FileLock::Wait::kNot, CancelToken()).held());
  CancelToken cancelled;
  cancelled.cancel();
  error_of([&] { FileLock(path, FileLock::Wait::kUntilFree, cancelled); }, ErrorCode::kCancelled);
  std::thread releases([&] { first.reset(); });
  EXPECT_TRUE(FileLock(path, FileLock::Wait::kUntilFree, CancelToken()).held());
  releases.join();
}

TEST_F(HubCacheTest, LockOfAProcessThatDiedIsFree) {
  const std::string path = cache_.lock_path("o/n", "etag");
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock(path, FileLock::Wait::kUntilFree, CancelToken());
    ::_exit(0);  // without its destructor, as when killed
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileLock(path, FileLock::Wait::kNot, CancelToken()).held());
}

TEST_F(HubCacheTest, LockFileThatWasRemovedMeanwhile) {
  const std::string path = cache_.lock_path("o/n", "etag");
  const FileLock first(path, FileLock::Wait::kUntilFree, CancelToken());
  fs::remove(path);
  EXPECT_TRUE(FileLock(path, FileLock::Wait::kNot, CancelToken()).held());
}

}  // namespace
}  // namespace csm
