// A model directory that a test puts together from files of the golden checkpoints, and removes at its end.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <csm/error.h>

namespace csm::test {

inline const std::string kCheckpoints = std::string(CSM_TEST_DATA) + "/ckpt/";
inline const std::string kMalformed = std::string(CSM_TEST_DATA) + "/malformed/";

class ModelDirectory {
 public:
  // Holds copies of the files of a checkpoint ("" for none).
  explicit ModelDirectory(const std::string& checkpoint = "") {
    const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("csm_" + std::string(test->test_suite_name()) + "_" + test->name());
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
    if (checkpoint.empty()) return;
    for (const auto& entry : std::filesystem::directory_iterator(kCheckpoints + checkpoint)) add(entry.path().string());
  }
  ~ModelDirectory() { std::filesystem::remove_all(path_); }
  ModelDirectory(const ModelDirectory&) = delete;
  ModelDirectory& operator=(const ModelDirectory&) = delete;

  std::string path() const { return path_.string(); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

  // Copies a file, replacing one of the same name.
  void add(const std::string& source, std::string name = "") {
    if (name.empty()) name = std::filesystem::path(source).filename().string();
    std::filesystem::remove(path_ / name);
    std::filesystem::copy_file(source, path_ / name);
    std::filesystem::permissions(path_ / name, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }

 private:
  std::filesystem::path path_;
};

// The error of an action: one line, of this code. "" when there was none.
inline std::string error_of(const std::function<void()>& action, ErrorCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace csm::test
