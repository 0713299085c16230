// What is in the cache, and removing it.
#include <gtest/gtest.h>

#include <filesystem>

#include "hub/cache.h"
#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

class ModelsTest : public HubTest {
 protected:
  PulledModel pull(const std::string& repo) const { return pull_model({repo, "", ""}, options(), {}); }
  std::vector<CachedModel> models() const { return cached_models(options()); }
};

TEST_F(ModelsTest, EmptyCache) {
  EXPECT_TRUE(models().empty());
  const std::string what = error_of([&] { remove_cached_model({"a/b", "", ""}, options()); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find(cache()), std::string::npos) << what;
}

TEST_F(ModelsTest, CommitsWithSizesAndState) {
  publish("tiny/nano", "ckpt/nano");
  publish("tiny/mimi", "ckpt/mimi-tiny-c");
  const PulledModel mimi = pull("tiny/mimi");
  const PulledModel old = pull("tiny/nano");
  publish_file("tiny/nano", "generation_config.json", "{}");
  const PulledModel now = pull("tiny/nano");
  const std::vector<CachedModel> all = models();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].repo, "tiny/mimi");
  EXPECT_EQ(all[0].bytes, mimi.bytes);
  EXPECT_EQ(all[0].problem, "");
  for (const CachedModel& model : all) {
    if (model.commit == now.commit) EXPECT_EQ(model.revisions, std::vector<std::string>{"main"});
    if (model.commit == old.commit) EXPECT_TRUE(model.revisions.empty());
    EXPECT_GT(model.modified_unix, 1'500'000'000);
  }
  fs::remove(fs::canonical(now.path + "/model.safetensors"));
  for (const CachedModel& model : models())
    EXPECT_EQ(model.problem.empty(), model.repo == "tiny/mimi") << model.problem;
}

TEST_F(ModelsTest, RemovingOneCommitKeepsWhatOthersShare) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel old = pull("tiny/nano");
  publish_file("tiny/nano", "generation_config.json", R"({"max_new_tokens": 7})");
  const PulledModel now = pull("tiny/nano");
  EXPECT_EQ(remove_cached_model({"tiny/nano", "", "main"}, options()), 21u);
  EXPECT_FALSE(fs::exists(now.path));
  EXPECT_FALSE(fs::exists(cache() + "/models--tiny--nano/refs/main"));
  EXPECT_TRUE(fs::exists(old.path + "/model.safetensors"));
  error_of([&] { remove_cached_model({"tiny/nano", "", "main"}, options()); }, ErrorCode::kNotFound);
  EXPECT_EQ(remove_cached_model({"tiny/nano", "", old.commit}, options()), old.bytes);
  EXPECT_TRUE(models().empty());
  EXPECT_FALSE(fs::exists(cache() + "/models--tiny--nano"));
}

TEST_F(ModelsTest, RemovingAModelRemovesItsViews) {
  publish("tiny/original", "ckpt/csm-tiny-f/original",
          {"config.json", "model.safetensors", "tokenizer-csm-tiny-f.safetensors"});
  publish("sesame/csm-1b", "ckpt/csm-tiny-f/original", {"tokenizer.json"});
  const PulledModel model = pull("tiny/original");
  ASSERT_EQ(model.companions.size(), 1u);
  ASSERT_TRUE(fs::exists(model.path));
  for (const CachedModel& cached : models()) EXPECT_EQ(cached.problem, "") << cached.repo;
  EXPECT_GT(remove_cached_model({"tiny/original", "", ""}, options()), 0u);
  EXPECT_FALSE(fs::exists(model.path));
  EXPECT_EQ(models().size(), 1u) << "the companion belongs to others as well";
  const std::string what = error_of(
      [&] {
        remove_cached_model({"sesame/csm1b", "", ""}, options());
      },
      ErrorCode::kNotFound);
  EXPECT_NE(what.find("did you mean 'sesame/csm-1b'"), std::string::npos) << what;
}

TEST_F(ModelsTest, NotWhileItIsDownloaded) {
  publish("tiny/nano", "ckpt/nano");
  const PulledModel model = pull("tiny/nano");
  const HubCache hub_cache(cache());
  {
    const std::string etag = fs::canonical(model.path + "/model.safetensors").filename();
    const FileLock lock(hub_cache.lock_path("tiny/nano", etag), FileLock::Wait::kUntilFree, CancelToken());
    error_of([&] { remove_cached_model({"tiny/nano", "", ""}, options()); }, ErrorCode::kIo);
  }
  EXPECT_TRUE(fs::exists(model.path + "/model.safetensors"));
  error_of([&] { remove_cached_model({"tiny/nano", "config.json", ""}, options()); }, ErrorCode::kInvalidArgument);
  EXPECT_EQ(remove_cached_model({"tiny/nano", "", ""}, options()), model.bytes);
}

}  // namespace
}  // namespace csm
