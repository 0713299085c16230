// The runaway guard: what it looks at, and what the policies make of it, on real speech of the bundled model; and
// silence trimmed.
#include <algorithm>
#include <cmath>
#include <random>

#include "engine/guard.h"
#include "engine/trim.h"
#include "engine_test.h"

namespace csm::test {
namespace {

constexpr double kFrameRate = 12.5;

// Frames of two codebooks, the second counting up, so that no frame equals another unless it is meant to.
struct Frames {
  LoopDetector detector;
  int n = 0;
  int found_at = 0;

  void push(int32_t first, int32_t second, bool quiet = false) {
    const int32_t codes[] = {first, second};
    detector.push(codes, quiet);
    ++n;
    if (detector.period() > 0 && found_at == 0) found_at = n;
  }
};

TEST(LoopDetector, FindsExactRepeatsOfEveryPeriod) {
  for (const int period : {1, 2, 5, 12, 30, 64}) {
    Frames frames;
    for (int i = 0; i < 40; ++i) frames.push(1000 + i, i);
    for (int i = 0; i < period * 4 + 30 && frames.found_at == 0; ++i) frames.push(i % period, i % period);
    EXPECT_EQ(frames.detector.period(), period);
    EXPECT_LE(frames.found_at - 40, period + std::max(12, 2 * period)) << "after three copies, or a second";
  }
}

TEST(LoopDetector, FindsNearRepeatsOfTheFirstCode) {
  Frames frames;
  for (int i = 0; i < 200 && frames.found_at == 0; ++i) frames.push(i % 9 == 4 && i % 2 == 0 ? 900 + i : i % 9, i);
  EXPECT_EQ(frames.detector.period() % 9, 0);
  EXPECT_GT(frames.detector.period(), 0);
}

TEST(LoopDetector, NeitherSilenceNorChanceIsALoop) {
  Frames quiet;
  for (int i = 0; i < 200; ++i) quiet.push(7, 7, true);
  EXPECT_EQ(quiet.found_at, 0);
  std::mt19937 random(3);
  Frames chance;
  for (int i = 0; i < 3000; ++i) chance.push(static_cast<int32_t>(random() % 40), static_cast<int32_t>(random() % 40));
  EXPECT_EQ(chance.found_at, 0) << "one first code in forty is equal by chance";
}

TEST(LoopDetector, SuspicionBeginsWithTheFirstCopyAndEndsWithTheLast) {
  Frames frames;
  for (int i = 0; i < 10; ++i) frames.push(100 + i, i);
  for (int i = 0; i < 9; ++i) frames.push(100 + i, 50 + i);
  EXPECT_EQ(frames.detector.n_suspect(), 9);
  frames.push(500, 500);
  frames.push(501, 501);
  EXPECT_EQ(frames.detector.n_suspect(), 0);
  EXPECT_EQ(frames.found_at, 0);
}

TEST(SpeechLetters, CountsWhatIsHeard) {
  EXPECT_EQ(speech_letters("abc DEF"), 6);
  EXPECT_EQ(speech_letters(""), 0);
  EXPECT_GT(speech_letters("a, b."), 2);
  EXPECT_GT(speech_letters("1234"), speech_letters("abcd"));
  EXPECT_EQ(speech_letters("\xC3\xA9t\xC3\xA9"), 3) << "letters with accents";
  EXPECT_EQ(speech_letters("\xE4\xBD\xA0\xE5\xA5\xBD"), 6) << "two syllables";
  EXPECT_EQ(speech_letters("\xF0\x9F\x98\x80") > 0, true);
}

TEST(ExpectedLength, IsLearnedFromTheSpeakersOwnTurns) {
  SpeechRequest request;
  request.text = "How are you today, my friend?";
  const double usual = expected_seconds(request, kFrameRate);
  EXPECT_NEAR(usual, 2.2, 0.5);
  Turn slow;
  slow.text = "The children are playing in the garden, and it will rain again on Friday.";
  slow.codes = Codes{std::vector<int32_t>(150 * 2), 2};  // 12 s
  slow.speaker = 1;
  request.context = {slow};
  EXPECT_EQ(expected_seconds(request, kFrameRate), usual) << "another speaker's";
  request.context[0].speaker = 0;
  const double once = expected_seconds(request, kFrameRate);
  EXPECT_GT(once, usual * 1.3);
  request.context.push_back(slow);
  request.context[1].speaker = 0;
  EXPECT_GT(expected_seconds(request, kFrameRate), once) << "more of it weighs more";
  request.guard.letters_per_second = 5;
  EXPECT_EQ(letters_per_second(request, kFrameRate), 5);
}

TEST(GuardOptions, NamesFieldRangeAndValue) {
  const auto message = [](const std::function<void(GuardOptions&)>& change) {
    GuardOptions options;
    change(options);
    return error_of(ErrorCode::kInvalidArgument, [&] { options.validate(); });
  };
  EXPECT_EQ(message([](GuardOptions& o) { o.max_retries = -1; }), "guard: max_retries is -1; expected 0..100");
  EXPECT_EQ(message([](GuardOptions& o) { o.length_factor = 0.5; }), "guard: length_factor is 0.5; expected 1..100");
  EXPECT_TRUE(contains(message([](GuardOptions& o) { o.slack_seconds = NAN; }), "slack_seconds is nan"));
  EXPECT_TRUE(contains(message([](GuardOptions& o) { o.letters_per_second = -3; }), "letters_per_second"));
  EXPECT_TRUE(contains(message([](GuardOptions& o) { o.max_silence_seconds = 0; }), "max_silence_seconds"));
}

std::vector<float> tone(double seconds, float level) {
  std::vector<float> samples(static_cast<size_t>(seconds * 24'000));
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = level * std::sin(0.1f * static_cast<float>(i));
  return samples;
}

TEST(Guard, StopsInLongSilenceAndKeepsALittleOfIt) {
  GuardOptions options;
  options.policy = GuardPolicy::kStop;
  Guard guard(options, 10, kFrameRate, 0);
  const std::vector<float> speech = tone(0.08, 0.3f);
  const std::vector<float> silence = tone(0.08, 0.0005f);
  std::optional<FinishReason> found;
  int n = 0;
  for (; n < 20; ++n) {
    const int32_t codes[] = {n, n};
    ASSERT_FALSE(guard.push(codes, speech));
    EXPECT_EQ(guard.n_safe(), n + 1) << "speech never waits";
  }
  for (; n < 100 && !found; ++n) {
    const int32_t codes[] = {n, n};
    found = guard.push(codes, silence);
  }
  EXPECT_EQ(found, FinishReason::kSilence);
  EXPECT_EQ(n, 20 + 25 + 1) << "two seconds";
  EXPECT_EQ(guard.n_safe(), 24);
}

class GuardedDemo : public ::testing::Test {
 protected:
  static SpeechRequest request(GuardPolicy policy) {
    SpeechRequest request;
    request.watermark.enabled = false;  // so that samples are those of the codec
    request.text = "Good morning.";
    request.seed = 5;
    request.guard.policy = policy;
    return request;
  }
  // Never ends by itself.
  static SpeechRequest endless(GuardPolicy policy) {
    SpeechRequest result = request(policy);
    result.stop_bias = -1000;
    return result;
  }

  std::shared_ptr<Engine> engine_ = open_demo();
};

TEST_F(GuardedDemo, NormalSpeechIsTheSameUnderEveryPolicy) {
  const SpeechResult plain = engine_->synthesize(request(GuardPolicy::kOff), {});
  ASSERT_EQ(plain.stats.finish_reason, FinishReason::kEnd);
  for (const GuardPolicy policy : {GuardPolicy::kStop, GuardPolicy::kRetry, GuardPolicy::kFail}) {
    const SpeechResult guarded = engine_->synthesize(request(policy), {});
    EXPECT_EQ(guarded.audio.samples, plain.audio.samples) << to_string(policy);
    EXPECT_EQ(guarded.codes.ids, plain.codes.ids);
    EXPECT_EQ(guarded.stats.n_attempts, 1);
    EXPECT_TRUE(guarded.stats.findings.empty());
    EXPECT_GT(guarded.stats.expected_seconds, 0.5);
  }
}

TEST_F(GuardedDemo, EndlessSpeechStops) {
  const SpeechResult plain = engine_->synthesize(endless(GuardPolicy::kOff), {});
  EXPECT_EQ(plain.stats.finish_reason, FinishReason::kMaxLength);
  const SpeechResult result = engine_->synthesize(endless(GuardPolicy::kStop), {});
  EXPECT_NE(result.stats.finish_reason, FinishReason::kEnd);
  EXPECT_LT(result.stats.audio_seconds, 2 * result.stats.expected_seconds + 2.6);
  EXPECT_LT(result.stats.audio_seconds, plain.stats.audio_seconds);
  ASSERT_EQ(result.stats.findings.size(), 1u);
  EXPECT_EQ(result.stats.findings[0].reason, result.stats.finish_reason);
  EXPECT_NEAR(result.stats.findings[0].kept_seconds, result.stats.audio_seconds, 1e-6);
  EXPECT_TRUE(std::equal(result.codes.ids.begin(), result.codes.ids.end(), plain.codes.ids.begin()))
      << "what it keeps is what was said";
  EXPECT_EQ(engine_->decode(result.codes).samples, result.audio.samples);
}

TEST_F(GuardedDemo, AStreamStopsWhereAWholeResultStops) {
  SpeechRequest stopped = endless(GuardPolicy::kStop);
  stopped.trim = {0.02, 0.1};
  const SpeechResult whole = engine_->synthesize(stopped, {});
  stopped.guard.policy = GuardPolicy::kRetry;  // which a stream cannot
  const auto stream = engine_->start(stopped);
  std::vector<float> all;
  for (std::vector<float> samples; stream->next(samples);) all.insert(all.end(), samples.begin(), samples.end());
  EXPECT_EQ(all, whole.audio.samples);
  EXPECT_EQ(stream->result().stats.n_attempts, 1);
  EXPECT_EQ(stream->result().codes.ids, whole.codes.ids);
}

TEST_F(GuardedDemo, RetriesAreCountedAndTheBestIsKept) {
  SpeechRequest endlessly = endless(GuardPolicy::kRetry);
  endlessly.guard.max_retries = 1;
  const SpeechResult result = engine_->synthesize(endlessly, {});
  EXPECT_EQ(result.stats.n_attempts, 2);
  ASSERT_EQ(result.stats.findings.size(), 2u);
  EXPECT_EQ(result.stats.findings[1].attempt, 2);
  EXPECT_LT(result.stats.audio_seconds, 2) << "cut where the two words are said, not where the budget ended";
  EXPECT_EQ(engine_->decode(result.codes).samples, result.audio.samples);
  double nearest = 1e9;
  for (const GuardFinding& finding : result.stats.findings)
    nearest = std::min(nearest, std::abs(finding.kept_seconds - result.stats.expected_seconds));
  EXPECT_NEAR(std::abs(result.stats.audio_seconds - result.stats.expected_seconds), nearest, 1e-6);
  EXPECT_EQ(engine_->synthesize(endlessly, {}).codes.ids, result.codes.ids) << "the same seed, the same speech";
}

// A budget near the length that this sentence usually has, so that some attempts are too long and a later one is not.
TEST_F(GuardedDemo, ARetryMayEndByItself) {
  bool healed = false;
  for (uint64_t seed = 0; seed < 12 && !healed; ++seed) {
    SpeechRequest tight = request(GuardPolicy::kRetry);
    tight.backbone_sampling = tight.depth_sampling = SamplingOptions();
    tight.seed = seed;
    tight.guard.length_factor = 1;
    tight.guard.slack_seconds = 0;
    tight.guard.letters_per_second = 30;
    const SpeechResult result = engine_->synthesize(tight, {});
    healed = result.stats.n_attempts > 1 && result.stats.finish_reason == FinishReason::kEnd;
    if (!healed) continue;
    EXPECT_EQ(result.stats.findings.size(), static_cast<size_t>(result.stats.n_attempts - 1));
    EXPECT_EQ(engine_->decode(result.codes).samples, result.audio.samples);
  }
  EXPECT_TRUE(healed);
}

TEST_F(GuardedDemo, FailingSaysWhatHappened) {
  const std::string message =
      error_of(ErrorCode::kInvalidData, [&] { (void)engine_->synthesize(endless(GuardPolicy::kFail), {}); });
  EXPECT_TRUE(contains(message, "ran away")) << message;
  const std::string in_batch = error_of(ErrorCode::kInvalidData, [&] {
    (void)engine_->synthesize_batch({request(GuardPolicy::kFail), endless(GuardPolicy::kFail)});
  });
  EXPECT_TRUE(contains(in_batch, "request 2 of 2: ")) << in_batch;
  EXPECT_EQ(engine_->synthesize(request(GuardPolicy::kFail), {}).stats.finish_reason, FinishReason::kEnd);
}

TEST_F(GuardedDemo, ABatchRetriesOneAndLeavesTheOthers) {
  SpeechRequest endlessly = endless(GuardPolicy::kRetry);
  endlessly.guard.max_retries = 1;
  const std::vector<SpeechResult> batch = engine_->synthesize_batch({request(GuardPolicy::kRetry), endlessly});
  EXPECT_EQ(batch[0].codes.ids, engine_->synthesize(request(GuardPolicy::kRetry), {}).codes.ids);
  EXPECT_EQ(batch[0].stats.n_attempts, 1);
  EXPECT_EQ(batch[1].stats.n_attempts, 2);
}

TEST_F(GuardedDemo, AskedForLengthIsNoMissingEnd) {
  SpeechRequest shortened = request(GuardPolicy::kFail);
  shortened.max_seconds = 0.4;
  const SpeechResult result = engine_->synthesize(shortened, {});
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kMaxLength);
  EXPECT_TRUE(result.stats.findings.empty());
}

TEST(SilenceTrim, SetLengthsWhateverTheChunks) {
  std::vector<float> clip = tone(0.5, 0);
  for (const auto& part : {tone(1, 0.2f), tone(0.3, 0), tone(0.5, 0.2f), tone(0.7, 0)})
    clip.insert(clip.end(), part.begin(), part.end());
  const auto trimmed = [&](const TrimOptions& options, size_t chunk) {
    SilenceTrim trim(options, 24'000);
    std::vector<float> out;
    const std::span<const float> all(clip);
    for (size_t at = 0; at < clip.size(); at += chunk)
      trim.push(all.subspan(at, std::min(chunk, clip.size() - at)), out);
    trim.finish(out);
    return out;
  };
  EXPECT_EQ(trimmed({}, 1920), clip);
  EXPECT_NEAR(static_cast<double>(trimmed({0.1, 0.2}, 1920).size()), (0.1 + 1.8 + 0.2) * 24'000, 480);
  EXPECT_NEAR(static_cast<double>(trimmed({0, std::nullopt}, 1920).size()), 2.5 * 24'000, 480);
  EXPECT_NEAR(static_cast<double>(trimmed({std::nullopt, 0}, 1920).size()), 2.3 * 24'000, 480);
  EXPECT_EQ(trimmed({0.1, 0.2}, 1920), trimmed({0.1, 0.2}, 77));
  EXPECT_EQ(trimmed({2, 2}, 1920).size(), clip.size()) << "nothing is added";
}

}  // namespace
}  // namespace csm::test
