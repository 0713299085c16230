// The cache as a backend and a person meet it: stored and found, limited, listed, cleared; trouble is a note.
#include <csm/cache.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "cache/cache_test.h"
#include "cache/file_weight_cache.h"

namespace csm {
namespace {

class WeightCacheTest : public CacheTest {
 protected:
  WeightCacheTest() {
    write_file(model_, "a model");
    std::this_thread::sleep_for(std::chrono::milliseconds(80));  // younger files are not remembered
    options_.directory = path("cache");
  }
  FileWeightCache open() { return FileWeightCache(options_, {model_}); }
  void store(FileWeightCache& cache, const std::string& settings, size_t n_bytes) {
    const std::vector<std::byte> bytes(n_bytes, std::byte{1});
    const auto writer = cache.begin(settings, 4);
    if (writer == nullptr) return;
    writer->add("weight", DType::kU8, {static_cast<int64_t>(n_bytes)}, bytes);
    writer->commit();
  }
  std::string entry_file() {
    for (const std::string& name : files_in(options_.directory)) {
      if (name.find(".safetensors") != std::string::npos) return options_.directory + "/" + name;
    }
    return "";
  }

  std::string model_ = path("model.safetensors");
  WeightCacheOptions options_;
};

TEST_F(WeightCacheTest, FindsWhatWasStoredUnderTheSameSettings) {
  FileWeightCache cache = open();
  EXPECT_TRUE(cache.find("f32").empty());
  store(cache, "f32", 1000);
  EXPECT_EQ(cache.find("f32").at("weight").fetch().data.size(), 1000u);
  EXPECT_TRUE(cache.find("f16").empty());
  EXPECT_FALSE(open().knows_files());
  cache.remember_files();
  EXPECT_TRUE(open().knows_files());
  EXPECT_EQ(open().find("f32").count("weight"), 1u);
  EXPECT_TRUE(cache.notes().empty());
}

TEST_F(WeightCacheTest, ADamagedEntryIsNotedRemovedAndStoredAgain) {
  FileWeightCache cache = open();
  store(cache, "f32", 1000);
  std::string bytes = read_file(entry_file());
  bytes.back() = 0;
  write_file(entry_file(), bytes);
  const auto found = cache.find("f32");
  try {
    (void)found.at("weight").fetch();
    FAIL() << "damage was not noticed";
  } catch (const DamagedEntry& damage) {
    cache.discard("f32", damage);
  }
  ASSERT_EQ(cache.notes().size(), 1u);
  EXPECT_NE(cache.notes()[0].find("converted anew"), std::string::npos);
  EXPECT_EQ(entry_file(), "");
  store(cache, "f32", 1000);
  write_file(entry_file(), "short");
  EXPECT_TRUE(cache.find("f32").empty());
  EXPECT_EQ(cache.notes().size(), 2u);
}

TEST_F(WeightCacheTest, TheLongestUnusedGoFirst) {
  FileWeightCache cache = open();
  for (const char* settings : {"first", "second", "third"}) {
    store(cache, settings, 100'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // their times differ
  }
  EXPECT_EQ(cached_weights(options_).size(), 3u);
  (void)cache.find("first");
  const uint64_t one = cached_weights(options_).at(0).bytes;
  options_.limit_bytes = 3 * one + one / 2;
  FileWeightCache limited = open();
  store(limited, "fourth", 100'000);
  const std::vector<CachedWeights> left = cached_weights(options_);
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left[0].settings, "fourth");
  EXPECT_EQ(left[1].settings, "first");
  EXPECT_EQ(left[2].settings, "third");
}

TEST_F(WeightCacheTest, WhatIsLargerThanTheLimitIsNotKept) {
  options_.limit_bytes = 50'000;
  FileWeightCache cache = open();
  store(cache, "f32", 100'000);
  ASSERT_EQ(cache.notes().size(), 1u);
  EXPECT_NE(cache.notes()[0].find("limit"), std::string::npos);
  EXPECT_TRUE(files_in(path("cache")).empty());
}

TEST_F(WeightCacheTest, ACacheThatCannotBeWrittenIsOneNote) {
  write_file(path("file"), "");
  options_.directory = path("file") + "/cache";
  FileWeightCache cache = open();
  EXPECT_TRUE(cache.find("f32").empty());
  store(cache, "f32", 10);
  store(cache, "codec", 10);
  cache.remember_files();
  EXPECT_EQ(cache.notes().size(), 1u);
}

TEST_F(WeightCacheTest, OffMeansNothingIsWritten) {
  options_.directory.clear();
  FileWeightCache cache = open();
  store(cache, "f32", 10);
  cache.remember_files();
  EXPECT_FALSE(cache.knows_files());
  EXPECT_TRUE(cache.notes().empty());
  EXPECT_TRUE(cached_weights(options_).empty());
  EXPECT_EQ(clear_cached_weights(options_), 0u);
}

TEST_F(WeightCacheTest, ListsAndClears) {
  FileWeightCache cache = open();
  store(cache, "f32", 100'000);
  cache.remember_files();
  const std::vector<CachedWeights> all = cached_weights(options_);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].settings, "f32");
  EXPECT_EQ(all[0].model, model_);
  EXPECT_GT(all[0].bytes, 100'000u);
  EXPECT_EQ(all[0].problem, "");
  write_file(path("cache/0123.safetensors"), "broken");
  const std::vector<CachedWeights> both = cached_weights(options_);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_NE(both[0].problem, "");
  EXPECT_EQ(clear_cached_weights(options_), all[0].bytes + 6);
  EXPECT_TRUE(files_in(path("cache")).empty());
}

// What a killed writer left goes when the next one is done.
TEST_F(WeightCacheTest, TidiesUp) {
  FileWeightCache cache = open();
  store(cache, "f32", 10);
  cache.remember_files();
  write_file(path("cache/.0123.safetensors.abc123"), "half");
  std::filesystem::remove(model_);
  write_file(path("other"), "another model");
  FileWeightCache other(options_, {path("other")});
  store(other, "f32", 10);
  for (const std::string& name : files_in(path("cache"))) {
    EXPECT_EQ(name.find(".0123"), std::string::npos);
    EXPECT_EQ(name.find("sources"), std::string::npos) << "the record of a model that is gone";
  }
}

TEST_F(WeightCacheTest, EnvironmentAndItsErrors) {
  ::setenv("CSM_WEIGHT_CACHE", "/somewhere", 1);
  ::setenv("CSM_WEIGHT_CACHE_LIMIT", "3G", 1);
  EXPECT_EQ(WeightCacheOptions::from_environment().directory, "/somewhere");
  EXPECT_EQ(WeightCacheOptions::from_environment().limit_bytes, uint64_t{3} << 30);
  ::setenv("CSM_WEIGHT_CACHE", "off", 1);
  EXPECT_EQ(WeightCacheOptions::from_environment().directory, "");
  ::unsetenv("CSM_WEIGHT_CACHE");
  ::setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(WeightCacheOptions::from_environment().directory, "/caches/csm/mlx");
  ::setenv("CSM_WEIGHT_CACHE_LIMIT", "3 apples", 1);
  EXPECT_THROW(WeightCacheOptions::from_environment(), Error);
  ::unsetenv("CSM_WEIGHT_CACHE_LIMIT");
}

}  // namespace
}  // namespace csm
