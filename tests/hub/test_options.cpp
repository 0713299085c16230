// The environment means what it means to huggingface_hub.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

class HubEnvironment : public ::testing::Test {
 protected:
  HubEnvironment() : home_(fs::temp_directory_path() / ("csm_hub_home_" + std::to_string(::getpid()))) {
    forget_all();
    fs::create_directories(home_);
    ::setenv("HOME", home_.c_str(), 1);
  }
  ~HubEnvironment() override {
    fs::remove_all(home_);
    forget_all();
  }

  static void forget_all() {
    for (const char* name :
         {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
          "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "XDG_CACHE_HOME", "HF_HUB_ETAG_TIMEOUT",
          "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_DISABLE_IMPLICIT_TOKEN"}) {
      ::unsetenv(name);
    }
  }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((home_ / name).parent_path());
    std::ofstream(home_ / name) << text;
  }
  std::string home(const std::string& path) const { return home_.string() + path; }

 private:
  fs::path home_;
};

TEST_F(HubEnvironment, Defaults) {
  const HubOptions options = HubOptions::from_environment();
  EXPECT_EQ(options.cache_directory, home("/.cache/huggingface/hub"));
  EXPECT_EQ(options.view_directory, home("/.cache/csm/models"));
  EXPECT_EQ(options.token_path, home("/.cache/huggingface/token"));
  EXPECT_EQ(options.endpoint, "https://huggingface.co");
  EXPECT_EQ(options.token, "");
  EXPECT_FALSE(options.offline);
}

TEST_F(HubEnvironment, DirectoriesInTheirOrder) {
  ::setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(HubOptions::from_environment().cache_directory, "/xdg/huggingface/hub");
  ::setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(HubOptions::from_environment().cache_directory, home("/hf/hub"));
  EXPECT_EQ(HubOptions::from_environment().token_path, home("/hf/token"));
  ::setenv("HUGGINGFACE_HUB_CACHE", "/legacy", 1);
  EXPECT_EQ(HubOptions::from_environment().cache_directory, "/legacy");
  ::setenv("HF_HUB_CACHE", "/cache", 1);
  EXPECT_EQ(HubOptions::from_environment().cache_directory, "/cache");
}

TEST_F(HubEnvironment, TokenFromVariableOrFile) {
  write(".cache/huggingface/token", "hf_file\n");
  EXPECT_EQ(HubOptions::from_environment().token, "hf_file");
  write("elsewhere", " hf_other\r\n");
  ::setenv("HF_TOKEN_PATH", home("/elsewhere").c_str(), 1);
  EXPECT_EQ(HubOptions::from_environment().token, "hf_other");
  ::setenv("HF_TOKEN", "hf_variable", 1);
  EXPECT_EQ(HubOptions::from_environment().token, "hf_variable");
  ::setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
  EXPECT_EQ(HubOptions::from_environment().token, "");
}

TEST_F(HubEnvironment, TokenThatWouldMakeAnotherHeader) {
  ::setenv("HF_TOKEN", "hf_x\r\nEvil: 1", 1);
  const std::string what = error_of([] { HubOptions::from_environment(); }, ErrorCode::kInvalidArgument);
  EXPECT_EQ(what.find("hf_x"), std::string::npos) << "the token must not be shown: " << what;
}

TEST_F(HubEnvironment, OfflineAndEndpoint) {
  for (const char* yes : {"1", "true", "ON", "yes"}) {
    ::setenv("HF_HUB_OFFLINE", yes, 1);
    EXPECT_TRUE(HubOptions::from_environment().offline) << yes;
  }
  ::setenv("HF_HUB_OFFLINE", "0", 1);
  EXPECT_FALSE(HubOptions::from_environment().offline);
  ::setenv("HF_ENDPOINT", "http://127.0.0.1:1/mirror/", 1);
  EXPECT_EQ(HubOptions::from_environment().endpoint, "http://127.0.0.1:1/mirror");
  for (const char* bad : {"ftp://x", "huggingface.co", "https://user:secret@x", "https://x y", "file:///etc"}) {
    ::setenv("HF_ENDPOINT", bad, 1);
    error_of([] { HubOptions::from_environment(); }, ErrorCode::kInvalidArgument);
  }
}

TEST_F(HubEnvironment, Timeouts) {
  ::setenv("HF_HUB_DOWNLOAD_TIMEOUT", "7", 1);
  EXPECT_EQ(HubOptions::from_environment().stall_timeout_s, 7);
  ::setenv("HF_HUB_DOWNLOAD_TIMEOUT", "soon", 1);
  error_of([] { HubOptions::from_environment(); }, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace csm
