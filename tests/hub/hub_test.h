// A hub on this machine and a cache of its own for each test.
//
// Place in the flow: the tests of this folder stand on it. One server process serves all tests of the program; it ends
// when the program does.
#pragma once

#include <csm/hub.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace csm {

class HubTest : public ::testing::Test {
 protected:
  HubTest();
  ~HubTest() override;

  // Options for the test's own cache, with short pauses.
  HubOptions options() const;

  // Copies files of a golden checkpoint ("ckpt/nano") into a model of the hub; all of them when none are named.
  void publish(const std::string& repo, const std::string& checkpoint,
               const std::vector<std::string>& files = {}) const;
  void publish_file(const std::string& repo, const std::string& name, const std::string& bytes) const;
  void set_model(const std::string& repo, const nlohmann::json& settings) const;  // gated, private, token
  void set_rules(const nlohmann::json& rules) const;

  struct Request {
    std::string line;  // "GET hub /path"
    std::string authorization;
    std::string range;
  };
  std::vector<Request> requests() const;
  size_t n_requests(const std::string& part) const;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string cache() const { return path("cache"); }
  std::string endpoint() const;

 private:
  std::string folder_;
};

std::string read_bytes(const std::string& path);
std::string some_bytes(size_t n_bytes, unsigned seed);  // not compressible

// The code and message of the error that a call ends in.
template <typename Call>
std::string error_of(const Call& call, ErrorCode code) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace csm
