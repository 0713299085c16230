// What killed writers leave behind is removed; what living ones write is not.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

class StaleFiles : public ::testing::Test {
 protected:
  StaleFiles() : folder_(fs::path(::testing::TempDir()) / ("csm_stale_files_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~StaleFiles() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::ptrdiff_t n_files() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }

  // A process that dies in the middle of writing.
  void die_while_writing(const std::string& name) const {
    const pid_t child = ::fork();
    if (child == 0) {
      AtomicFile file(path(name));
      file.write("half");
      ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
  }

 private:
  fs::path folder_;
};

TEST_F(StaleFiles, OfKilledWritersAreRemoved) {
  die_while_writing("model.gguf");
  die_while_writing("model.gguf");
  die_while_writing("other.gguf");
  ASSERT_EQ(n_files(), 3);
  remove_stale_temporaries(path("model.gguf"));
  EXPECT_EQ(n_files(), 1) << "those of another file stay";
}

TEST_F(StaleFiles, OfLivingWritersStay) {
  AtomicFile file(path("model.gguf"));
  file.write("whole");
  remove_stale_temporaries(path("model.gguf"));
  EXPECT_EQ(n_files(), 1);
  file.commit();
  EXPECT_EQ(read_text_file(path("model.gguf"), 100), "whole");
  remove_stale_temporaries(path("model.gguf"));
  EXPECT_TRUE(fs::exists(path("model.gguf")));
}

TEST_F(StaleFiles, OtherNamesAndMissingFoldersAreLeftAlone) {
  AtomicFile file(path(".model.gguf.abcdefg"));  // one letter too many
  file.commit();
  remove_stale_temporaries(path("model.gguf"));
  remove_stale_temporaries(path("none/model.gguf"));
  EXPECT_EQ(n_files(), 1);
}

}  // namespace
}  // namespace csm
