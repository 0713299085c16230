// Wrong keys find nothing, and as often as the theory says: the experiment of docs/watermark.md in small.
#include <gtest/gtest.h>

#include "watermark/correlate.h"
#include "watermark_test.h"

namespace csm::mark {
namespace {

TEST(FalsePositives, WrongKeysFollowTheNormalTail) {
  constexpr int kKeys = 250, kClips = 8;
  const double trials = kKeys * kClips;
  int beyond_2 = 0, beyond_3 = 0, found = 0;
  for (uint32_t clip = 0; clip < kClips; ++clip) {
    const Audio speech = clip % 2 == 0 ? speech_like(2.5, clip) : mark_audio(speech_like(2.5, clip), WatermarkOptions());
    Fold fold;
    fold.add(ChipScores(speech.samples, 0, count_chips(speech.samples.size()), SoundLevels(speech.samples)));
    for (uint32_t key = 0; key < kKeys; ++key) {
      const uint32_t number = clip * kKeys + key;
      const Match match = match_known(fold, KeyPattern(test_key(number).bytes).chips(number), number);
      const double probability = known_false_positive(match.z, kHypotheses);
      beyond_2 += probability <= 1e-2 ? 1 : 0;
      beyond_3 += probability <= 1e-3 ? 1 : 0;
      found += probability <= 1e-6 ? 1 : 0;
    }
  }
  std::printf("%.0f trials: %d beyond 1e-2, %d beyond 1e-3, %d beyond 1e-6\n", trials, beyond_2, beyond_3, found);
  EXPECT_LE(beyond_2, 1.5 * 1e-2 * trials);
  EXPECT_LE(beyond_3, 1.5 * 1e-3 * trials + 3);  // so few that chance shows
  EXPECT_EQ(found, 0);
}

TEST(FalsePositives, NothingIsReadFromUnmarkedSound) {
  SoftDecoder decoder;
  for (uint32_t clip = 0; clip < 4; ++clip) {
    const Audio speech = speech_like(2.5, 50 + clip);
    Fold fold;
    fold.add(ChipScores(speech.samples, 0, count_chips(speech.samples.size()), SoundLevels(speech.samples)));
    for (uint32_t key = 0; key < 10; ++key) {
      const Match match = match_unknown(fold, KeyPattern(test_key(clip * 10 + key).bytes), decoder);
      EXPECT_TRUE(!match.payload || unknown_false_positive(match.z, kHypotheses) > 1e-3) << match.z;
    }
  }
}

TEST(FalsePositives, TailsAreThoseOfTheTables) {
  EXPECT_NEAR(normal_tail(0), 0.5, 1e-12);
  EXPECT_NEAR(normal_tail(3), 1.3499e-3, 1e-6);
  EXPECT_NEAR(normal_tail(6) / 9.8659e-10, 1, 1e-3);
  EXPECT_EQ(known_false_positive(0, 1024), 1);
  EXPECT_LT(known_false_positive(6.1, kHypotheses), 1e-6);  // the threshold of a short clip
  EXPECT_GT(known_false_positive(5.9, kHypotheses), 1e-6);
  EXPECT_LT(unknown_false_positive(9, kHypotheses), 1e-6);
}

}  // namespace
}  // namespace csm::mark
