// csm pull, csm models and --model NAME against a hub on this machine.
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "hub/hub_test.h"
#include "program.h"

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

class HubProgramTest : public HubTest {
 protected:
  HubProgramTest() { publish("tiny/nano", "ckpt/nano"); }

  Surroundings surroundings(const std::vector<std::string>& more = {}) const {
    Surroundings with;
    with.environment = {"HF_ENDPOINT=" + endpoint(),
                        "HF_HUB_CACHE=" + cache(),
                        "HF_HOME=" + path("home"),
                        "XDG_CACHE_HOME=" + path("xdg"),
                        "HF_TOKEN=",
                        "HF_HUB_OFFLINE=0"};
    with.environment.insert(with.environment.end(), more.begin(), more.end());
    return with;
  }

  Outcome csm(const Arguments& arguments, const std::vector<std::string>& more = {}) const {
    return run(arguments, surroundings(more));
  }
};

TEST_F(HubProgramTest, PullShowsWhereTheModelIs) {
  const Outcome pulled = csm({"pull", "tiny/nano", "--json"});
  ASSERT_EQ(pulled.code, 0) << pulled.err;
  const nlohmann::json report = pulled.json();
  EXPECT_EQ(report.at("model"), "tiny/nano");
  EXPECT_EQ(report.at("files").size(), 4u);
  EXPECT_TRUE(fs::exists(report.at("path").get<std::string>() + "/model.safetensors"));
  EXPECT_EQ(csm({"pull", "tiny/nano", "--json"}).json().at("fetched_bytes"), 0);
  const Outcome spoken = csm({"pull", "tiny/nano"});
  EXPECT_EQ(spoken.out, "") << "words go to standard error";
  EXPECT_NE(spoken.err.find("tiny/nano: 4 files"), std::string::npos) << spoken.err;
}

TEST_F(HubProgramTest, ModelByNameEqualsModelByPath) {
  const std::string local = data("ckpt/nano");
  const Outcome by_path = run({"tokenize", "Hi", "--json", "--model", local});
  const Outcome by_name = csm({"tokenize", "Hi", "--json", "--model", "tiny/nano"});
  EXPECT_EQ(by_name.out, by_path.out) << by_name.err;
  EXPECT_EQ(by_name.err, "") << "no progress where there is no terminal";
  EXPECT_EQ(csm({"tokenize", "Hi", "--json"}, {"CSM_MODEL=tiny/nano@main"}).out, by_path.out);
  set_rules(nlohmann::json::array());
  EXPECT_EQ(csm({"inspect", "tiny/nano", "--json"}).code, 0);
  const Outcome speech =
      csm({"speak", "Hi", "--model", "tiny/nano", "--threads", "1", "--max-seconds", "0.5", "-o", path("a.wav")});
  EXPECT_EQ(speech.code, 0) << speech.err;
  EXPECT_TRUE(requests().empty()) << "what is in the cache needs no connection";
}

TEST_F(HubProgramTest, OriginalLayoutWithCompanions) {
  const std::string original = "ckpt/csm-tiny-f/original";
  publish("tiny/original", original, {"config.json", "model.safetensors"});
  publish("sesame/csm-1b", original, {"tokenizer.json"});
  publish_file("kyutai/moshiko-pytorch-bf16", "tokenizer-e351c8d8-checkpoint125.safetensors",
               read_bytes(data(original + "/tokenizer-csm-tiny-f.safetensors")));
  const Arguments arguments = {"speak", "Hi", "--threads", "1", "--max-seconds", "0.5", "--seed", "3", "-o"};
  const auto speak = [&](const std::string& model, const std::string& to) {
    Arguments all = arguments;
    all.insert(all.end(), {path(to), "--model", model});
    return csm(all);
  };
  const Outcome hub = speak("tiny/original", "hub.wav");
  ASSERT_EQ(hub.code, 0) << hub.err;
  ASSERT_EQ(speak(data(original), "local.wav").code, 0);
  EXPECT_TRUE(read_bytes(path("hub.wav")) == read_bytes(path("local.wav")));
}

TEST_F(HubProgramTest, PathThatExistsWins) {
  fs::create_directories(path("tiny"));
  fs::create_directory_symlink(data("ckpt/nano"), path("tiny/nano"));
  Surroundings with = surroundings();
  with.working_directory = path("");
  EXPECT_EQ(run({"tokenize", "Hi", "--model", "tiny/nano"}, with).code, 0);
  EXPECT_TRUE(requests().empty());
}

TEST_F(HubProgramTest, ErrorsAreOneLineThatHelps) {
  set_model("tiny/nano", {{"gated", true}, {"token", "hf_right"}});
  EXPECT_TRUE(fails_with(csm({"pull", "tiny/nano"}), 1, endpoint() + "/tiny/nano"));
  EXPECT_EQ(csm({"pull", "tiny/nano", "-q"}, {"HF_TOKEN=hf_right"}).code, 0);
  EXPECT_TRUE(fails_with(csm({"speak", "Hi", "--model", "tiny/none", "-o", path("a.wav")}), 1, "no file or directory"));
  EXPECT_TRUE(fails_with(csm({"pull", "csm-1c"}), 2, "did you mean 'csm-1b'"));
  EXPECT_TRUE(fails_with(csm({"pull", "../etc"}), 2));
  EXPECT_TRUE(fails_with(csm({"pull"}), 2));
  EXPECT_TRUE(fails_with(csm({"pull", "tiny/nano"}, {"HF_ENDPOINT=nonsense"}), 1, "HF_ENDPOINT"));
  EXPECT_TRUE(fails_with(csm({"pull", "tiny/nano"}, {"HF_HUB_OFFLINE=1"}), 1, "HF_HUB_OFFLINE"));
}

TEST_F(HubProgramTest, ModelsAreListedAndRemoved) {
  EXPECT_EQ(csm({"models", "--json"}).json().at("models").size(), 0u);
  ASSERT_EQ(csm({"pull", "tiny/nano", "-q"}).code, 0);
  const nlohmann::json list = csm({"models", "--json"}).json();
  ASSERT_EQ(list.at("models").size(), 1u);
  EXPECT_EQ(list.at("models")[0].at("model"), "tiny/nano");
  EXPECT_EQ(list.at("models")[0].at("revisions"), nlohmann::json::array({"main"}));
  EXPECT_NE(csm({"models"}).err.find("tiny/nano"), std::string::npos);
  const Outcome removed = csm({"models", "rm", "tiny/nano"});
  EXPECT_EQ(removed.code, 0) << removed.err;
  EXPECT_NE(removed.err.find("removed tiny/nano"), std::string::npos) << removed.err;
  EXPECT_TRUE(fails_with(csm({"models", "rm", "tiny/nano"}), 1, "not in the cache"));
}

TEST_F(HubProgramTest, FullDiskIsOneLineAndTheNextRunGoesOn) {
  publish("tiny/large", "ckpt/csm-tiny-f/hf-f32");
  Surroundings full = surroundings();
  full.max_file_bytes = 200'000;
  EXPECT_TRUE(fails_with(run({"pull", "tiny/large"}, full), 1, "make room"));
  const nlohmann::json report = csm({"pull", "tiny/large", "--json"}).json();
  EXPECT_EQ(report.at("fetched_bytes").get<int>(), report.at("bytes").get<int>() - 200'000 - 3848 - 295 - 15701);
}

TEST_F(HubProgramTest, InterruptLeavesWhatTheNextRunGoesOnWith) {
  publish("tiny/slow", "ckpt/csm-tiny-f/hf-f32");
  set_rules({{{"match", "GET cdn"}, {"piece", 10000}, {"delay", 0.1}}});
  Running running({"pull", "tiny/slow"}, surroundings());
  while (n_requests("GET cdn") == 0) ::usleep(20'000);
  ::usleep(300'000);
  running.signal(SIGINT);
  const Outcome outcome = running.wait();
  EXPECT_TRUE(fails_with(outcome, 130, "interrupted"));
  set_rules(nlohmann::json::array());
  EXPECT_LT(csm({"pull", "tiny/slow", "--json"}).json().at("fetched_bytes").get<int>(), 423'000);
}

}  // namespace
}  // namespace csm::e2e
