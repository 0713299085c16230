// Long texts read aloud: every piece is said, pauses are silence, memory and length do not depend on the text's, stopping keeps the rest.
#include <csm/narrate.h>

#include <algorithm>
#include <cmath>

#include "engine_test.h"

namespace csm::test {
namespace {

class Narrate : public ::testing::Test {
 protected:
  NarrationResult narrate(const std::vector<NarrationPart>& parts) {
    samples_.clear();
    return csm::narrate(*engine_, request_, parts, options_,
                        [&](std::span<const float> samples) { samples_.insert(samples_.end(), samples.begin(), samples.end()); },
                        [&](const NarrationProgress& progress) {
                          last_ = progress;
                          return progress.audio_seconds < stop_at_;
                        });
  }

  size_t samples_of(double seconds) const { return static_cast<size_t>(std::llround(seconds * engine_->sample_rate_hz())); }

  std::shared_ptr<Engine> engine_ = open_demo();
  SpeechRequest request_ = [] {
    SpeechRequest request;
    request.watermark.enabled = false;
    request.seed = 5;
    request.max_seconds = 1.2;
    return request;
  }();
  NarrationOptions options_;
  std::vector<float> samples_;
  NarrationProgress last_;
  double stop_at_ = 1e9;
};

TEST_F(Narrate, PiecesAndPauses) {
  options_.chunks.max_characters = 20;
  const NarrationResult result = narrate({{"[pause:0.5s]Good morning. How are you?[pause:250ms] ... \n\nFine.", 0, {}}});
  EXPECT_EQ(result.n_chunks, 3);
  EXPECT_TRUE(result.is_whole);
  EXPECT_EQ(last_.n_chunks, 4) << "what holds no word is a piece that is not said";
  EXPECT_EQ(samples_.size(), samples_of(result.audio_seconds));
  EXPECT_GT(result.audio_seconds, result.speech_seconds + 0.5 + 0.25);
  EXPECT_TRUE(std::all_of(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(samples_of(0.5)), [](float sample) { return sample == 0; }));
  EXPECT_NE(samples_[samples_of(0.5) + 2000], 0);
}

TEST_F(Narrate, SameSeedSameSpeech) {
  options_.chunks.max_characters = 20;
  const NarrationPart part{"Good morning. How are you?", 0, {}};
  narrate({part});
  const std::vector<float> first = samples_;
  narrate({part});
  EXPECT_EQ(samples_, first);
  options_.context_chunks = 0;
  narrate({part});
  EXPECT_NE(samples_, first) << "the second piece hears the first one";
}

TEST_F(Narrate, SpeakersOfAScript) {
  const NarrationResult result = narrate({{"Good morning.", 0, {}}, {"I have 5 cats.", 1, {}}});
  EXPECT_EQ(result.n_chunks, 2);
  options_.normalization = Normalization::kOff;
  const std::vector<float> normalised = samples_;
  narrate({{"Good morning.", 0, {}}, {"I have 5 cats.", 1, {}}});
  EXPECT_NE(samples_, normalised);
}

TEST_F(Narrate, LevelsFollowTheFirstPiece) {
  options_.chunks.max_characters = 20;
  options_.max_gain = 1;
  narrate({{"Good morning. How are you?", 0, {}}});
  const std::vector<float> plain = samples_;
  options_.max_gain = 10;
  narrate({{"Good morning. How are you?", 0, {}}});
  ASSERT_EQ(samples_.size(), plain.size());
  EXPECT_NE(samples_, plain);
  EXPECT_TRUE(std::equal(plain.begin(), plain.begin() + 9600, samples_.begin())) << "the first piece stays as it is";
  for (const float sample : samples_) ASSERT_LE(std::fabs(sample), 1.0F);
}

TEST_F(Narrate, StoppingKeepsWhatWasSaid) {
  options_.chunks.max_characters = 20;
  stop_at_ = 0.5;
  const NarrationResult result = narrate({{"Good morning. How are you? I am fine.", 0, {}}});
  EXPECT_FALSE(result.is_whole);
  EXPECT_GT(samples_.size(), samples_of(0.4));
  EXPECT_LT(samples_.size(), samples_of(0.8));
}

TEST_F(Narrate, NothingToSayAndBadOptions) {
  for (const char* text : {"", " ... \n\n!", "[pause:1s]"}) {
    EXPECT_NE(error_of(ErrorCode::kInvalidArgument, [&] { narrate({{text, 0, {}}}); }).find("no word"), std::string::npos);
  }
  options_.context_chunks = 9;
  EXPECT_NE(error_of(ErrorCode::kInvalidArgument, [&] { narrate({{"Hi.", 0, {}}}); }).find("context_chunks"), std::string::npos);
}

}  // namespace
}  // namespace csm::test
