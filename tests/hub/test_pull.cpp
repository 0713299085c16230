// Models from the hub into the cache: what is fetched, what is sent, what is kept.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "hub/names.h"
#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class PullTest : public HubTest {
 protected:
  static HubName name(const std::string& text) { return parse_hub_name(text).value(); }
  PulledModel pull(const std::string& text) const { return pull_model(name(text), options(), {}); }
  std::string golden(const std::string& file) const { return read_bytes(std::string(CSM_TEST_DATA) + "/ckpt/" + file); }
};

TEST_F(PullTest, WholeModelInTheHubsLayout) {
  publish("tiny/nano", "ckpt/nano");
  publish_file("tiny/nano", "README.md", "not needed");
  publish_file("tiny/nano", "ckpt.pt", some_bytes(1000, 1));
  const PulledModel model = pull("tiny/nano");
  EXPECT_EQ(model.path, cache() + "/models--tiny--nano/snapshots/" + model.commit);
  EXPECT_EQ(model.files,
            (std::vector<std::string>{"config.json", "generation_config.json", "tokenizer.json", "model.safetensors"}));
  EXPECT_TRUE(model.companions.empty());
  for (const std::string& file : model.files) {
    EXPECT_TRUE(fs::is_symlink(model.path + "/" + file));
    EXPECT_TRUE(read_bytes(model.path + "/" + file) == golden("nano/" + file));
  }
  EXPECT_EQ(model.bytes, model.fetched_bytes);
  EXPECT_EQ(read_bytes(cache() + "/models--tiny--nano/refs/main"), model.commit);
  EXPECT_TRUE(fs::exists(cache() + "/models--tiny--nano/.no_exist/" + model.commit + "/tokenizer.model"));
  EXPECT_EQ(n_requests("README.md") + n_requests("ckpt.pt"), 0u);
  for (const auto& entry : fs::directory_iterator(cache() + "/models--tiny--nano/blobs")) {
    EXPECT_EQ(entry.path().string().find("incomplete"), std::string::npos) << entry.path();
  }
}

TEST_F(PullTest, SecondPullFetchesNothingAndResolveAsksNothing) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel first = pull("tiny/nano");
  const PulledModel second = pull("tiny/nano");
  EXPECT_EQ(second.fetched_bytes, 0u);
  EXPECT_EQ(second.path, first.path);
  set_rules(Json::array());  // clears the log
  EXPECT_EQ(resolve_model(name("tiny/nano"), options(), {}), first.path);
  EXPECT_TRUE(requests().empty());
}

TEST_F(PullTest, NewCommitSharesWhatIsTheSame) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel first = pull("tiny/nano");
  publish_file("tiny/nano", "generation_config.json", R"({"max_new_tokens": 7})");
  const PulledModel second = pull("tiny/nano");
  EXPECT_NE(second.commit, first.commit);
  EXPECT_EQ(second.fetched_bytes, 21u);
  EXPECT_EQ(read_bytes(second.path + "/generation_config.json"), R"({"max_new_tokens": 7})");
  EXPECT_EQ(fs::canonical(second.path + "/model.safetensors"), fs::canonical(first.path + "/model.safetensors"));
}

TEST_F(PullTest, RevisionsAndCommits) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel tag = pull("tiny/nano@v1");
  EXPECT_EQ(read_bytes(cache() + "/models--tiny--nano/refs/v1"), tag.commit);
  EXPECT_FALSE(fs::exists(cache() + "/models--tiny--nano/refs/main"));
  EXPECT_EQ(pull("tiny/nano@refs/pr/1").commit, tag.commit);
  EXPECT_EQ(pull("tiny/nano@" + tag.commit).commit, tag.commit);
  const std::string what = error_of([&] { pull("tiny/nano@v2"); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("did you mean 'v1'"), std::string::npos) << what;
}

TEST_F(PullTest, ShardsThroughTheirIndex) {
  publish("tiny/sharded", "ckpt/csm-tiny-f/hf-sharded-bf16");
  const PulledModel model = pull("tiny/sharded");
  EXPECT_TRUE(fs::exists(model.path + "/transformers-00001-of-00002.safetensors"));
  EXPECT_TRUE(fs::exists(model.path + "/transformers-00002-of-00002.safetensors"));
  EXPECT_EQ(n_requests("/model.safetensors.index.json"), 0u) << "one index is enough";
}

TEST_F(PullTest, IndexThatLeavesTheRepository) {
  publish("tiny/evil", "ckpt/csm-tiny-f/hf-f32", {"config.json", "tokenizer.json"});
  for (const char* shard : {"../../../x.safetensors", "/etc/x.safetensors", "absent.safetensors", "x.bin"}) {
    publish_file("tiny/evil", "model.safetensors.index.json", Json{{"weight_map", {{"a", shard}}}}.dump());
    error_of([&] { pull("tiny/evil"); }, ErrorCode::kInvalidData);
  }
}

TEST_F(PullTest, CompanionsOfTheOriginalLayout) {
  publish("tiny/original", "ckpt/csm-tiny-f/original", {"config.json", "model.safetensors"});
  publish("sesame/csm-1b", "ckpt/csm-tiny-f/original", {"tokenizer.json"});
  publish_file("kyutai/moshiko-pytorch-bf16", codec_companions().front().file,
               golden("csm-tiny-f/original/tokenizer-csm-tiny-f.safetensors"));
  const PulledModel model = pull("tiny/original");
  EXPECT_EQ(model.companions,
            (std::vector<std::string>{"kyutai/moshiko-pytorch-bf16/tokenizer-e351c8d8-checkpoint125.safetensors",
                                      "sesame/csm-1b/tokenizer.json"}));
  EXPECT_EQ(model.path, path("views/tiny--original/") + model.commit);
  EXPECT_TRUE(read_bytes(model.path + "/tokenizer.json") == golden("csm-tiny-f/original/tokenizer.json"));
  EXPECT_EQ(read_bytes(model.path + "/" + codec_companions().front().file),
            golden("csm-tiny-f/original/tokenizer-csm-tiny-f.safetensors"));
  EXPECT_FALSE(fs::exists(cache() + "/models--tiny--original/snapshots/" + model.commit + "/tokenizer.json"))
      << "the hub's own cache stays as the hub has it";
  set_rules(Json::array());
  EXPECT_EQ(resolve_model(name("tiny/original"), options(), {}), model.path);
  EXPECT_TRUE(requests().empty());
}

TEST_F(PullTest, CodecInTheSameRepository) {
  publish("tiny/original", "ckpt/csm-tiny-f/original");
  const PulledModel model = pull("tiny/original");
  EXPECT_TRUE(model.companions.empty());
  EXPECT_TRUE(fs::exists(model.path + "/tokenizer-csm-tiny-f.safetensors"));
  publish("tiny/torch", "ckpt/csm-tiny-f/original-pt");
  publish("tiny/torch", "ckpt/csm-tiny-f/original", {"tokenizer-csm-tiny-f.safetensors", "tokenizer.json"});
  EXPECT_TRUE(fs::exists(pull("tiny/torch").path + "/ckpt.pt"));
}

TEST_F(PullTest, CompanionBehindAGate) {
  publish("tiny/no-tokenizer", "ckpt/nano", {"config.json", "model.safetensors"});
  publish("sesame/csm-1b", "ckpt/nano", {"tokenizer.json"});
  set_model("sesame/csm-1b", {{"gated", true}});
  const std::string what = error_of([&] { pull("tiny/no-tokenizer"); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("/sesame/csm-1b in a browser"), std::string::npos) << what;
  publish("unsloth/csm-1b", "ckpt/nano", {"tokenizer.json"});
  EXPECT_EQ(pull("tiny/no-tokenizer").companions, std::vector<std::string>{"unsloth/csm-1b/tokenizer.json"});
}

TEST_F(PullTest, TokenizerModelWhereThereIsNoJson) {
  publish("tiny/pieces", "ckpt/nano", {"config.json", "model.safetensors"});
  publish_file("tiny/pieces", "tokenizer.model", "YQ== 0\n");
  const PulledModel own = pull("tiny/pieces");
  EXPECT_TRUE(own.companions.empty());
  EXPECT_EQ(read_bytes(own.path + "/tokenizer.model"), "YQ== 0\n");
  publish("tiny/no-tokenizer", "ckpt/nano", {"config.json", "model.safetensors"});
  publish_file("meta-llama/Llama-3.2-1B", "original/tokenizer.model", "Yg== 0\n");
  const PulledModel other = pull("tiny/no-tokenizer");
  EXPECT_EQ(other.companions, std::vector<std::string>{"meta-llama/Llama-3.2-1B/original/tokenizer.model"});
  EXPECT_EQ(read_bytes(other.path + "/tokenizer.model"), "Yg== 0\n");
}

TEST_F(PullTest, NamedFileOfSeveral) {
  publish_file("tiny/sizes", "a-q4_k.gguf", some_bytes(100, 1));
  publish_file("tiny/sizes", "b-q8_0.gguf", some_bytes(200, 2));
  EXPECT_EQ(fs::path(pull("tiny/sizes/a-q4_k.gguf").path).filename(), "a-q4_k.gguf");
  EXPECT_EQ(n_requests("b-q8_0.gguf"), 0u);
  EXPECT_TRUE(fs::exists(pull("tiny/sizes").path + "/b-q8_0.gguf"));
}

TEST_F(PullTest, OfflineUsesWhatIsThere) {
  publish("tiny/nano", "ckpt/nano");
  HubOptions offline = options();
  offline.offline = true;
  const std::string what = error_of([&] { resolve_model(name("tiny/nano"), offline, {}); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("HF_HUB_OFFLINE"), std::string::npos) << what;
  error_of([&] { pull_model(name("tiny/nano"), offline, {}); }, ErrorCode::kNotFound);
  EXPECT_TRUE(requests().empty());
  const PulledModel model = pull("tiny/nano");
  set_rules(Json::array());
  EXPECT_EQ(resolve_model(name("tiny/nano"), offline, {}), model.path);
  EXPECT_EQ(resolve_model(name("tiny/nano@" + model.commit), offline, {}), model.path);
  EXPECT_TRUE(requests().empty());
  fs::remove(fs::canonical(model.path + "/model.safetensors"));
  error_of([&] { resolve_model(name("tiny/nano"), offline, {}); }, ErrorCode::kNotFound);
}

TEST_F(PullTest, HubThatIsAwayLeavesTheCopyInUse) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel model = pull("tiny/nano");
  fs::remove_all(cache() + "/models--tiny--nano/.no_exist");  // as Python leaves it: whether files exist is not known
  set_rules({{{"match", "."}, {"status", 503}}});
  std::string note;
  const auto on_progress = [&](const HubProgress& progress) {
    note = progress.note;
    return true;
  };
  EXPECT_EQ(resolve_model(name("tiny/nano"), options(), on_progress), model.path);
  EXPECT_NE(note.find("using the copy in the cache"), std::string::npos) << note;
}

TEST_F(PullTest, ProgressReachesTheTotalAndStopsTheDownload) {
  publish("tiny/nano", "ckpt/csm-tiny-f/hf-f32");
  set_rules({{{"match", "GET cdn"}, {"piece", 20000}, {"delay", 0.05}}});
  HubProgress last;
  int n_reports = 0;
  error_of(
      [&] {
        pull_model(name("tiny/nano"), options(), [&](const HubProgress& progress) {
          last = progress;
          return ++n_reports < 1000 && progress.bytes < 100'000;
        });
      },
      ErrorCode::kCancelled);
  EXPECT_LT(last.bytes, last.total_bytes);
  EXPECT_EQ(last.n_files, 4);
  EXPECT_FALSE(fs::exists(cache() + "/models--tiny--nano/refs/main")) << "the model is not whole";
  set_rules(Json::array());
  const PulledModel model = pull("tiny/nano");
  EXPECT_LT(model.fetched_bytes, model.bytes) << "goes on where it stopped";
  EXPECT_TRUE(read_bytes(model.path + "/model.safetensors") == golden("csm-tiny-f/hf-f32/model.safetensors"));
  bool ranged = false;
  for (const Request& request : requests()) ranged = ranged || request.range.compare(0, 6, "bytes=") == 0;
  EXPECT_TRUE(ranged);
}

TEST_F(PullTest, DiskTooSmallIsSaidBeforehand) {
  const Json file = {{"rfilename", "x.gguf"}, {"size", uint64_t{1} << 49}};
  const Json info = {{"sha", std::string(40, 'a')}, {"siblings", Json::array({file})}};
  set_rules({{{"match", "GET hub /api/models/tiny/huge"}, {"status", 200}, {"body", info.dump()}}});
  const std::string what = error_of([&] { pull("tiny/huge"); }, ErrorCode::kResourceLimit);
  EXPECT_NE(what.find("HF_HUB_CACHE"), std::string::npos) << what;
  EXPECT_EQ(requests().size(), 1u);
}

TEST_F(PullTest, SeveralAtOnceInOneProcess) {
  publish("tiny/nano", "ckpt/nano");
  set_rules({{{"match", "GET cdn"}, {"piece", 2000}, {"delay", 0.02}}});
  std::vector<std::thread> threads;
  std::vector<std::string> paths(4);
  for (std::string& path : paths) threads.emplace_back([&] { path = pull("tiny/nano").path; });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& path : paths) EXPECT_EQ(path, paths.front());
  EXPECT_EQ(n_requests("GET cdn"), 1u) << "one fetches, the others wait";
  EXPECT_TRUE(read_bytes(paths.front() + "/model.safetensors") == golden("nano/model.safetensors"));
}

}  // namespace
}  // namespace csm
