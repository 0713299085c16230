// The content of files: remembered while they stay as they were, read again when they do not.
#include "cache/content.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "cache/cache_test.h"
#include "csm/error.h"
#include "hub/digest.h"

namespace csm {
namespace {

class Content : public CacheTest {
 protected:
  Content() {
    std::filesystem::create_directories(path("model"));
    write_file(weights_, "weights");
    write_file(config_, "{}");
    // Younger files are not remembered.
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
  }
  ContentDigest digest() { return ContentDigest(path("cache"), {weights_, config_}); }
  std::string remember() {
    ContentDigest content = digest();
    const std::string value = content.get();
    content.remember();
    return value;
  }

  std::string weights_ = path("model/weights");
  std::string config_ = path("model/config.json");
};

TEST_F(Content, IsRememberedWithoutReadingTheFiles) {
  EXPECT_FALSE(digest().known());
  const std::string value = remember();
  EXPECT_EQ(value.size(), 64u);
  ASSERT_TRUE(digest().known());
  EXPECT_EQ(*digest().known(), value);
}

TEST_F(Content, IsThatOfTheBytesAndNotOfTheNames) {
  const std::string value = remember();
  std::filesystem::copy(path("model"), path("copy"));
  ContentDigest copy(path("cache"), {path("copy/weights"), path("copy/config.json")});
  EXPECT_FALSE(copy.known());
  EXPECT_EQ(copy.get(), value);
  ContentDigest swapped(path("cache"), {config_, weights_});
  EXPECT_NE(swapped.get(), value);
}

TEST_F(Content, AChangedFileIsReadAgain) {
  const std::string value = remember();
  write_file(weights_, "weightz");
  ContentDigest changed = digest();
  EXPECT_FALSE(changed.known());
  EXPECT_NE(changed.get(), value);
}

// The same size and the time of the last write put back, as copying tools do.
TEST_F(Content, AChangedFileWithItsOldTimeIsReadAgain) {
  remember();
  struct stat before {};
  ASSERT_EQ(::stat(weights_.c_str(), &before), 0);
  write_file(weights_, "weightz");
#ifdef __APPLE__
  const timespec times[2] = {before.st_atimespec, before.st_mtimespec};
#else
  const timespec times[2] = {before.st_atim, before.st_mtim};
#endif
  ASSERT_EQ(::utimensat(AT_FDCWD, weights_.c_str(), times, 0), 0);
  EXPECT_FALSE(digest().known());
}

TEST_F(Content, AFileOfThisVeryMomentIsNotRemembered) {
  write_file(weights_, "just now");
  remember();
  EXPECT_FALSE(digest().known());
}

TEST_F(Content, ADamagedRecordIsWrittenAnew) {
  const std::string value = remember();
  const std::string record = path("cache/sources/" + files_in(path("cache/sources")).at(0));
  for (const char* text : {"", "{", "[]", "{\"version\":2}", "{\"version\":1,\"content\":\"x\",\"files\":[]}"}) {
    write_file(record, text);
    EXPECT_FALSE(digest().known()) << text;
  }
  EXPECT_EQ(remember(), value);
  EXPECT_TRUE(digest().known());
}

TEST_F(Content, RecordsAreCheckedFieldByField) {
  const std::string content(64, '0');
  const std::string file = R"({"path":"/m","size":1,"mtime_ns":2,"ctime_ns":3,"inode":4,"device":5})";
  const auto record = [&](const std::string& files) {
    return R"({"version":1,"content":")" + content + R"(","files":)" + files + "}";
  };
  const SourceRecord good = parse_source_record(record("[" + file + "]"), "record");
  ASSERT_EQ(good.files.size(), 1u);
  EXPECT_EQ(good.files[0].inode, 4u);
  EXPECT_THROW(parse_source_record(record("{}"), "record"), Error);
  EXPECT_THROW(parse_source_record(record("[1]"), "record"), Error);
  EXPECT_THROW(parse_source_record(record(R"([{"path":"/m"}])"), "record"), Error);
}

TEST_F(Content, KnownAnswer) { EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); }

}  // namespace
}  // namespace csm
