// The cache of converted weights as an engine uses it: same speech, one note when an entry is damaged, none in the way.
#include <csm/cache.h>
#include <csm/engine.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "backends/registry.h"
#include "engine/model_directory.h"

namespace csm::test {
namespace {

namespace fs = std::filesystem;

class WeightCacheOfEngine : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> names = backend_names();
    if (std::find(names.begin(), names.end(), "mlx") == names.end()) GTEST_SKIP() << "only the MLX backend converts";
    fs::remove_all(cache_);
    std::this_thread::sleep_for(std::chrono::milliseconds(80));  // younger files are not remembered
  }
  void TearDown() override { fs::remove_all(cache_); }

  EngineOptions options_of_model() const {
    EngineOptions options;
    options.model = model_.path();
    options.backend = "mlx";
    options.dtype = "f32";
    return options;
  }
  std::shared_ptr<Engine> open(const std::function<void(EngineOptions&)>& change = {}) const {
    EngineOptions options = options_of_model();
    options.weight_cache = cache_;
    if (change) change(options);
    return Engine::open(options);
  }
  static std::vector<float> speak(Engine& engine) {
    SpeechRequest request;
    request.text = "hi";
    request.seed = 3;
    request.max_seconds = 0.24;
    return engine.synthesize(request, {}).audio.samples;
  }
  std::vector<CachedWeights> entries() const {
    WeightCacheOptions options;
    options.directory = cache_;
    return cached_weights(options);
  }
  static void change_byte(const std::string& path, int64_t from_end) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(-from_end, std::ios::end);
    const char byte = static_cast<char>(file.get() ^ 4);
    file.seekp(-from_end, std::ios::end);
    file.put(byte);
  }

  ModelDirectory model_{"csm-tiny-f/hf-f32"};
  std::string cache_ = ::testing::TempDir() + "csm_weight_cache_" + std::to_string(::getpid());
};

TEST_F(WeightCacheOfEngine, TheSecondStartSaysTheSame) {
  const auto first = open();
  EXPECT_TRUE(first->notes().empty());
  const std::vector<CachedWeights> stored = entries();
  ASSERT_EQ(stored.size(), 2u) << "language model and codec";
  EXPECT_EQ(stored[0].model, model_.file("model.safetensors"));
  const auto second = open();
  EXPECT_TRUE(second->notes().empty());
  EXPECT_EQ(speak(*second), speak(*first));
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(WeightCacheOfEngine, OtherSettingsHaveOtherEntries) {
  (void)open();
  const auto f16 = open([](EngineOptions& options) { options.dtype = "f16"; });
  EXPECT_EQ(entries().size(), 3u) << "the codec's is the same";
  const auto again = open([](EngineOptions& options) { options.dtype = "f16"; });
  EXPECT_EQ(speak(*again), speak(*f16));
  (void)open([](EngineOptions& options) { options.codec_dtype = "f16"; });
  EXPECT_EQ(entries().size(), 4u);
}

TEST_F(WeightCacheOfEngine, DamagedEntriesAreMadeAnewWithOneNoteEach) {
  const std::vector<float> expected = speak(*open());
  const std::vector<CachedWeights> stored = entries();
  change_byte(stored[0].path, 100);
  fs::resize_file(stored[1].path, fs::file_size(stored[1].path) / 2);
  const auto repaired = open();
  EXPECT_EQ(repaired->notes().size(), 2u);
  for (const std::string& note : repaired->notes()) EXPECT_TRUE(contains(note, "converted anew")) << note;
  EXPECT_EQ(speak(*repaired), expected);
  const auto after = open();
  EXPECT_TRUE(after->notes().empty());
  EXPECT_EQ(speak(*after), expected);
}

// A model that was changed is another model, also when it has its size and time back.
TEST_F(WeightCacheOfEngine, AChangedModelIsConvertedAndChecked) {
  const std::vector<float> before = speak(*open());
  struct stat info {};
  ASSERT_EQ(::stat(model_.file("model.safetensors").c_str(), &info), 0);
  change_byte(model_.file("model.safetensors"), 1);
  (void)open();
  EXPECT_EQ(entries().size(), 4u);
  {
    std::fstream file(model_.file("model.safetensors"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-4, std::ios::end);
    file.write("\xff\xff\xff\x7f", 4);  // not a number
  }
  const std::string message = error_of([&] { (void)open(); }, ErrorCode::kInvalidData);
  EXPECT_TRUE(contains(message, "NaN")) << message;
}

TEST_F(WeightCacheOfEngine, OffAndUnwritableAreNoObstacle) {
  const std::vector<float> expected = speak(*open([](EngineOptions& options) { options.weight_cache = "off"; }));
  EXPECT_FALSE(fs::exists(cache_));
  const std::string file = model_.file("config.json");
  const auto engine = open([&](EngineOptions& options) { options.weight_cache = file + "/cache"; });
  EXPECT_EQ(engine->notes().size(), 1u);
  EXPECT_EQ(speak(*engine), expected);
  const auto small = open([](EngineOptions& options) { options.weight_cache_limit = "1K"; });
  ASSERT_EQ(small->notes().size(), 1u);
  EXPECT_TRUE(contains(small->notes()[0], "limit")) << small->notes()[0];
  EXPECT_EQ(speak(*small), expected);
}

TEST_F(WeightCacheOfEngine, ManyAtOnceGetTheSame) {
  const std::vector<float> expected = speak(*open([](EngineOptions& options) { options.weight_cache = "off"; }));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 2; ++j) EXPECT_EQ(speak(*open()), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(WeightCacheOfEngine, OptionsAreChecked) {
  for (std::string EngineOptions::*field : {&EngineOptions::weight_cache_limit, &EngineOptions::mlx_cache_limit,
                                            &EngineOptions::mlx_memory_limit, &EngineOptions::mlx_wired_limit,
                                            &EngineOptions::mlx_clear_cache}) {
    const auto open_with_apples = [&] { (void)open([&](EngineOptions& options) { options.*field = "12 apples"; }); };
    EXPECT_NE(error_of(open_with_apples, ErrorCode::kInvalidArgument), "");
  }
  EngineOptions options = options_of_model();
  options.mlx_cache_limit = "0";
  options.mlx_memory_limit = "2G";
  options.mlx_clear_cache = "never";
  EXPECT_NO_THROW(options.validate());
}

}  // namespace
}  // namespace csm::test
