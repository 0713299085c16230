// What the sound card is given: every sample once and in order, silence where there is none, soft edges at pauses.
#include "playback/playback_buffer.h"

#include <csm/error.h>
#include <csm/playback.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <thread>

namespace csm::test {
namespace {

constexpr int kRateHz = 1'000;  // starts with 200 samples, goes on with 500, ramps over 4, holds 60,000

std::vector<float> counting(size_t n, float first = 1) {
  std::vector<float> samples(n);
  for (size_t i = 0; i < n; ++i) samples[i] = first + static_cast<float>(i);
  return samples;
}

TEST(PlaybackBuffer, StartsWhenAFifthOfASecondIsThere) {
  PlaybackBuffer buffer(kRateHz);
  std::vector<float> block(10, 7.0f);
  EXPECT_EQ(buffer.push(counting(199)), 199u);
  EXPECT_TRUE(buffer.fill(block));
  EXPECT_EQ(block, std::vector<float>(10));
  buffer.push(counting(1, 200));
  EXPECT_TRUE(buffer.fill(block));
  EXPECT_EQ(block, counting(10));
  EXPECT_EQ(buffer.n_pauses(), 0);
}

TEST(PlaybackBuffer, AShortSoundIsPlayedWhole) {
  PlaybackBuffer buffer(kRateHz);
  buffer.push(counting(15));
  buffer.finish();
  std::vector<float> block(10);
  EXPECT_TRUE(buffer.fill(block));
  EXPECT_EQ(block, counting(10));
  EXPECT_FALSE(buffer.fill(block)) << "the end";
  EXPECT_EQ(block, (std::vector<float>{11, 12, 13, 14, 15, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(buffer.is_empty());
  EXPECT_EQ(buffer.n_pauses(), 0);
}

TEST(PlaybackBuffer, NothingAtAllEndsAtOnce) {
  PlaybackBuffer buffer(kRateHz);
  buffer.finish();
  std::vector<float> block(10, 1.0f);
  EXPECT_FALSE(buffer.fill(block));
  EXPECT_EQ(block, std::vector<float>(10));
}

TEST(PlaybackBuffer, PausesSoftlyAndGoesOnWithHalfASecond) {
  PlaybackBuffer buffer(kRateHz);
  buffer.push(std::vector<float>(206, 1.0f));
  std::vector<float> block(200);
  buffer.fill(block);
  block.assign(10, 9);
  EXPECT_TRUE(buffer.fill(block));
  EXPECT_EQ(block, (std::vector<float>{1, 1, 0.75f, 0.5f, 0.25f, 0, 0, 0, 0, 0}))
      << "falls over the last samples there are";
  EXPECT_EQ(buffer.n_pauses(), 1);
  buffer.push(std::vector<float>(499, 1.0f));
  buffer.fill(block);
  EXPECT_EQ(block, std::vector<float>(10)) << "waits";
  buffer.push({{1.0f}});
  buffer.fill(block);
  EXPECT_EQ(block, (std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1, 1, 1, 1, 1, 1})) << "rises";
}

TEST(PlaybackBuffer, TakesAMinuteAndNoMore) {
  PlaybackBuffer buffer(kRateHz);
  EXPECT_EQ(buffer.push(counting(59'999)), 59'999u);
  EXPECT_EQ(buffer.push(counting(10)), 1u);
  EXPECT_EQ(buffer.push(counting(10)), 0u);
  std::vector<float> block(30);
  buffer.fill(block);
  EXPECT_EQ(buffer.push(counting(100)), 30u);
}

TEST(PlaybackBuffer, TwoThreadsLoseNothing) {
  PlaybackBuffer buffer(kRateHz);
  constexpr size_t kSamples = 400'000;
  std::thread maker([&] {
    std::vector<float> samples = counting(kSamples);
    for (std::span<const float> rest = samples; !rest.empty();) {
      const size_t n = buffer.push(rest.first(std::min<size_t>(rest.size(), 777)));
      rest = rest.subspan(n);
      if (n == 0) std::this_thread::yield();
    }
    buffer.finish();
  });
  std::vector<float> block(256);
  double sum = 0;
  bool more = true;
  while (more) {
    more = buffer.fill(block);
    for (const float sample : block) sum += static_cast<double>(sample);
  }
  maker.join();
  EXPECT_TRUE(buffer.is_empty());
  // Ramps at pauses take a little away; what is whole must be whole.
  const double whole = static_cast<double>(kSamples) * (kSamples + 1) / 2;
  EXPECT_LE(sum, whole);
  EXPECT_GE(sum, whole - buffer.n_pauses() * 8.0 * kSamples);
  if (buffer.n_pauses() == 0) EXPECT_EQ(sum, whole);
}

// With a sound card this plays a tenth of a second of silence; without one it says so. Both are right.
TEST(Player, PlaysOrSaysWhyNot) {
  try {
    const auto player = Player::open(24'000);
    const std::vector<float> silence(2'400);
    EXPECT_EQ(player->push(silence), silence.size());
    player->finish();
    for (int round = 0; round < 100 && !player->heard_all(); ++round) continue;
    EXPECT_FALSE(player->device().empty());
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kIo ||
                error.code() == ErrorCode::kUnsupported)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("cannot play"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace csm::test
