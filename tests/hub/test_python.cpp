// One cache for two: files that Python's huggingface_hub fetched are found here, and the other way round. Runs where
// that package is installed: for the Python that CMake found, or the one that CSM_HUB_PYTHON names.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class PythonTest : public HubTest {
 protected:
  static std::string python() {
    const char* chosen = std::getenv("CSM_HUB_PYTHON");
    return chosen != nullptr && *chosen != '\0' ? chosen : CSM_PYTHON;
  }

  void SetUp() override {
    if (std::system((python() + " -c 'import huggingface_hub' 2>/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "huggingface_hub is not installed for " << python()
                   << "; to run this: pip install huggingface_hub, or name a Python that has it in CSM_HUB_PYTHON";
    }
    publish("tiny/nano", "ckpt/nano");
  }

  // What the script prints.
  std::string run(const std::string& script, const std::string& environment = "") const {
    const std::string command = "HF_HUB_CACHE='" + cache() + "' HF_HOME='" + path("home") + "' HF_ENDPOINT='" +
                                endpoint() + "' HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1 " +
                                environment + " " + python() + " -c \"" + script + "\"";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    EXPECT_EQ(::pclose(pipe), 0) << command;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
};

TEST_F(PythonTest, FindsWhatWeFetched) {
  const PulledModel model = pull_model({"tiny/nano", "", ""}, options(), {});
  set_rules(Json::array());
  const std::string offline = "HF_HUB_OFFLINE=1";
  EXPECT_EQ(run("import huggingface_hub as h; print(h.hf_hub_download('tiny/nano', 'model.safetensors'))", offline),
            model.path + "/model.safetensors");
  EXPECT_EQ(run("import huggingface_hub as h; print(h.snapshot_download('tiny/nano'))", offline), model.path);
  EXPECT_EQ(run("import huggingface_hub as h; print(h.try_to_load_from_cache('tiny/nano', 'tokenizer.model') is "
                "h._CACHED_NO_EXIST)"),
            "True");
  EXPECT_TRUE(requests().empty());
  // Online Python looks whether the file is the newest, and fetches no byte of it again.
  EXPECT_EQ(run("import huggingface_hub as h; print(h.hf_hub_download('tiny/nano', 'model.safetensors'))"),
            model.path + "/model.safetensors");
  EXPECT_EQ(n_requests("GET cdn"), 0u);
}

TEST_F(PythonTest, ScansOurCacheWithoutComplaint) {
  const PulledModel model = pull_model({"tiny/nano", "", ""}, options(), {});
  EXPECT_EQ(run("import huggingface_hub as h; i = h.scan_cache_dir(); r = list(i.repos)[0]; "
                "print(len(i.warnings), r.repo_id, r.size_on_disk, sorted(list(r.revisions)[0].refs))"),
            "0 tiny/nano " + std::to_string(model.bytes) + " ['main']");
}

TEST_F(PythonTest, ItsFilesAreFoundHere) {
  const std::string snapshot =
      run("import huggingface_hub as h; print(h.snapshot_download('tiny/nano', allow_patterns=['*.json', "
          "'*.safetensors']))");
  set_rules(Json::array());
  HubOptions offline = options();
  offline.offline = true;
  EXPECT_EQ(resolve_model({"tiny/nano", "", ""}, offline, {}), snapshot);
  EXPECT_TRUE(requests().empty());
  const PulledModel model = pull_model({"tiny/nano", "", ""}, options(), {});
  EXPECT_EQ(model.path, snapshot);
  EXPECT_EQ(model.fetched_bytes, 0u);
  EXPECT_EQ(n_requests("cdn"), 0u);
}

TEST_F(PythonTest, HalfADownloadOfPythonsIsCompleted) {
  const std::string snapshot =
      fs::path(run("import huggingface_hub as h; print(h.hf_hub_download('tiny/nano', 'config.json'))")).parent_path();
  const std::string path = resolve_model({"tiny/nano", "", ""}, options(), {});
  EXPECT_EQ(path, snapshot);
  EXPECT_TRUE(fs::exists(path + "/model.safetensors"));
}

TEST_F(PythonTest, BothAtOnce) {
  set_rules({{{"match", "GET cdn"}, {"piece", 1000}, {"delay", 0.05}}});
  std::string theirs;
  std::thread python_thread(
      [&] { theirs = run("import huggingface_hub as h; print(h.hf_hub_download('tiny/nano', 'model.safetensors'))"); });
  const PulledModel model = pull_model({"tiny/nano", "", ""}, options(), {});
  python_thread.join();
  EXPECT_EQ(theirs, model.path + "/model.safetensors");
  EXPECT_TRUE(read_bytes(theirs) == read_bytes(std::string(CSM_TEST_DATA) + "/ckpt/nano/model.safetensors"));
  EXPECT_EQ(n_requests("GET cdn"), 1u) << "the lock is the same";
}

}  // namespace
}  // namespace csm
