// What tests of the cache of converted weights share: a directory of their own, which goes with them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace csm {

class CacheTest : public ::testing::Test {
 protected:
  CacheTest()
      : directory_(std::filesystem::temp_directory_path() / ("csm-test-cache-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~CacheTest() override { std::filesystem::remove_all(directory_); }

  std::string directory() const { return directory_.string(); }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  static std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  // Names of all regular files below, sorted.
  static std::vector<std::string> files_in(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file()) names.push_back(std::filesystem::relative(entry.path(), directory).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace csm
