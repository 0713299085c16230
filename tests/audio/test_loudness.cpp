// Loudness, peaks, fades, rates and dither: what the written samples have.
#include "audio/loudness.h"

#include <algorithm>
#include <cstring>

#include "audio/fades.h"
#include "audio/rate_converter.h"
#include "audio_test.h"

namespace csm::test {
namespace {

class Level : public AudioTest {
 protected:
  // The samples that a file of floats would hold.
  std::vector<float> written(const std::vector<float>& samples, AudioOutputOptions options, int rate_hz = 24'000) {
    options.format = "f32le";
    MemorySink sink(false);
    const auto writer = AudioWriter::open(sink, "memory", rate_hz, options);
    writer->push(samples);
    summary = writer->finish();
    std::vector<float> result(sink.bytes.size() / 4);
    if (!result.empty()) std::memcpy(result.data(), sink.bytes.data(), sink.bytes.size());
    return result;
  }
  static double loudness(const std::vector<float>& samples, int rate_hz = 24'000) {
    LoudnessMeter meter(rate_hz, LoudnessMeter::Measure::kLoudnessAndTruePeak);
    meter.add(samples);
    return meter.integrated().value_or(-1000);
  }
  static double true_peak(const std::vector<float>& samples, int rate_hz = 24'000) {
    LoudnessMeter meter(rate_hz, LoudnessMeter::Measure::kLoudnessAndTruePeak);
    meter.add(samples);
    return meter.true_peak_db().value_or(-1000);
  }
  AudioSummary summary;
};

// EBU Tech 3341: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS; in one channel 3 dB less.
TEST_F(Level, MeterReadsTheStandardsTone) {
  EXPECT_NEAR(loudness(tone(1'000, std::pow(10, -23 / 20.0), 5, 48'000), 48'000), -26.0, 0.1);
  EXPECT_NEAR(loudness(tone(1'000, std::pow(10, -23 / 20.0), 5)), -26.0, 0.1);
}

TEST_F(Level, LoudnessIsReached) {
  for (const double target : {-30.0, -23.0, -16.0, -14.0}) {
    for (const char* name : {"three_s", "one_s"}) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(target));
      AudioOutputOptions options;
      options.loudness_lufs = target;
      const std::vector<float> result = written(clip(name), options);
      EXPECT_EQ(result.size(), clip(name).size());
      EXPECT_NEAR(loudness(result), target, 0.1);
      EXPECT_LE(true_peak(result), -1 + 0.05);
      EXPECT_NEAR(*summary.loudness_lufs, target, 0.1);
      EXPECT_NEAR(*summary.true_peak_db, true_peak(result), 1e-6);
    }
  }
}

TEST_F(Level, LoudnessAtAnotherRate) {
  AudioOutputOptions options;
  options.loudness_lufs = -18;
  options.sample_rate_hz = 48'000;
  EXPECT_NEAR(loudness(written(clip("three_s"), options), 48'000), -18, 0.1);
}

TEST_F(Level, ShortSoundsAndSilence) {
  AudioOutputOptions options;
  options.loudness_lufs = -20;
  EXPECT_NEAR(db(rms(written(tone(1'000, 0.01, 0.1), options))), -20 + 0.0, 1.0) << "1 kHz weighs about 0.7 dB more";
  const std::vector<float> silence(24'000);
  EXPECT_EQ(written(silence, options), silence);
  EXPECT_FALSE(summary.loudness_lufs.has_value());
  EXPECT_EQ(summary.gain_db, 0);
  options = {};
  options.peak_db = -3;
  EXPECT_EQ(written(silence, options), silence);
  EXPECT_TRUE(written({}, options).empty());
}

TEST_F(Level, PeakIsReached) {
  AudioOutputOptions options;
  for (const double target : {-20.0, -3.0, 0.0}) {
    options.peak_db = target;
    EXPECT_NEAR(db(peak(written(clip("three_s"), options))), target, 1e-3);
  }
}

TEST_F(Level, LimiterHoldsTruePeaksAndLeavesTheRestAlone) {
  AudioOutputOptions options;
  options.true_peak_db = -6;
  // A quarter of the rate, 45 degrees off: samples at 0.7, the curve between them at 1.
  std::vector<float> hidden(24'000);
  for (size_t i = 0; i < hidden.size(); ++i)
    hidden[i] = static_cast<float>(0.99 * std::sin(kPi / 2 * static_cast<double>(i) + kPi / 4));
  EXPECT_LE(true_peak(written(hidden, options)), -6 + 0.05);
  EXPECT_GE(true_peak(written(hidden, options)), -6 - 0.2);
  const std::vector<float> quiet = tone(300, 0.4, 1);
  EXPECT_EQ(written(quiet, options), quiet) << "below the ceiling, bit for bit";

  std::vector<float> burst = tone(200, 0.3, 2);
  for (size_t i = 24'000; i < 24'100; ++i) burst[i] *= 3;
  const std::vector<float> result = written(burst, options);
  EXPECT_LE(true_peak(result), -6 + 0.05);
  for (size_t i = 0; i < 23'800; ++i) ASSERT_EQ(result[i], burst[i]) << "before the look-ahead, " << i;
  for (size_t i = 40'000; i < 48'000; ++i) ASSERT_EQ(result[i], burst[i]) << "after the recovery, " << i;
}

std::vector<float> converted(const std::vector<float>& samples, int from_hz, int to_hz) {
  RateConverter converter(from_hz, to_hz);
  std::vector<float> result;
  converter.push(samples, result);
  converter.finish(result);
  return result;
}

// Noise up to four fifths of half the rate: at the very edge meters differ, since none has an endless filter.
TEST_F(Level, LimiterHoldsUnderNoiseAtEachRate) {
  uint32_t state = 1;
  std::vector<float> noise(30'000);
  for (float& sample : noise) {
    state = state * 1664525 + 1013904223;
    sample = static_cast<float>(static_cast<double>(state) / 2147483648.0 - 1);
  }
  noise = converted(noise, 40'000, 50'000);
  for (const int rate_hz : {8'000, 24'000, 48'000, 96'000}) {
    AudioOutputOptions options;
    options.true_peak_db = -3;
    const std::vector<float> result = written(noise, options, rate_hz);
    EXPECT_EQ(result.size(), noise.size());
    EXPECT_LE(true_peak(result, rate_hz), -3 + 0.2) << rate_hz;
    EXPECT_LE(db(peak(converted(result, rate_hz, 8 * rate_hz))), -3 + 0.1) << rate_hz;
  }
}

TEST_F(Level, FadesRiseAndFall) {
  const std::vector<float> ones(24'000, 1.0f);
  AudioOutputOptions options;
  options.fade_in_seconds = 0.1;
  options.fade_out_seconds = 0.25;
  const std::vector<float> result = written(ones, options);
  ASSERT_EQ(result.size(), ones.size());
  EXPECT_LT(result.front(), 1e-5f);
  EXPECT_LT(result.back(), 1e-5f);
  EXPECT_NEAR(result[1'200], 0.5f, 1e-3);
  EXPECT_NEAR(result[21'000], 0.5f, 1e-3);
  EXPECT_TRUE(std::is_sorted(result.begin(), result.begin() + 2'400));
  EXPECT_TRUE(std::is_sorted(result.rbegin(), result.rbegin() + 6'000));
  for (size_t i = 2'400; i < 18'000; ++i) ASSERT_EQ(result[i], 1.0f);
  options.fade_out_seconds = 10;  // longer than the sound
  EXPECT_LT(written(ones, options).back(), 1e-5f);
}

TEST_F(Level, RatesKeepLengthAndTone) {
  for (const int rate_hz : {8'000, 16'000, 22'050, 44'100, 48'000, 96'000, 192'000}) {
    SCOPED_TRACE(rate_hz);
    AudioOutputOptions options;
    options.sample_rate_hz = rate_hz;
    const std::vector<float> result = written(tone(1'000, 0.5, 1.0001), options);
    ASSERT_EQ(result.size(), static_cast<size_t>(std::ceil(24'002.0 * rate_hz / 24'000)));
    const std::vector<float> expected = tone(1'000, 0.5, 1.0001, rate_hz);
    for (size_t i = result.size() / 10; i < result.size() * 9 / 10; ++i) ASSERT_NEAR(result[i], expected[i], 2e-5) << i;
  }
}

TEST_F(Level, NothingAboveTheNewHalfRateSurvives) {
  AudioOutputOptions options;
  options.sample_rate_hz = 8'000;
  std::vector<float> result = written(tone(6'000, 0.5, 1), options);
  result.erase(result.begin(), result.begin() + 400);
  result.resize(result.size() - 400);
  EXPECT_LT(db(rms(result)), -100);
}

TEST_F(Level, DitherMakesTheErrorIndependentOfTheSound) {
  const std::vector<float> quiet(48'000, 0.3f / 32768);  // less than half a step: silence without dither
  AudioOutputOptions options;
  write_audio(path("plain.wav"), {quiet, 24'000}, options);
  EXPECT_EQ(peak(read_audio(path("plain.wav")).samples), 0);
  options.dither = Dither::kTriangular;
  write_audio(path("dither.wav"), {quiet, 24'000}, options);
  const std::vector<float> result = read_audio(path("dither.wav")).samples;
  double mean = 0, square = 0;
  for (const float sample : result) {
    const double steps = static_cast<double>(sample) * 32768;
    mean += steps / static_cast<double>(result.size());
    square += (steps - 0.3) * (steps - 0.3) / static_cast<double>(result.size());
    EXPECT_LE(std::fabs(steps), 2);
  }
  EXPECT_NEAR(mean, 0.3, 0.02);
  EXPECT_NEAR(square, 0.25, 0.02) << "a twelfth of rounding and a sixth of dither, whatever the sound";
}

TEST_F(Level, SpoolReadsWhatWasPushedFromMemoryAndFile) {
  Spool spool;
  std::vector<float> block(100'003);
  float next = 0;
  const auto push = [&] {
    for (float& sample : block) sample = next, next = next >= 8'000'000 ? 0 : next + 1;
    spool.push(block);
  };
  const auto check = [&] {
    for (int round = 0; round < 2; ++round) {
      float expected = 0;
      int64_t n = 0;
      spool.read([&](std::span<const float> part) {
        for (const float sample : part) {
          ASSERT_EQ(sample, expected++);
          ++n;
        }
      });
      EXPECT_EQ(n, spool.n_samples());
    }
  };
  for (int i = 0; i < 3; ++i) push();
  EXPECT_FALSE(spool.in_file());
  check();
  while (!spool.in_file()) push();
  for (int i = 0; i < 3; ++i) push();
  check();
}

TEST_F(Level, ALongSoundIsLevelledThroughTheFile) {
  AudioOutputOptions options;
  options.loudness_lufs = -20;
  options.format = "s16le";
  MemorySink sink(false);
  const auto writer = AudioWriter::open(sink, "memory", 24'000, options);
  const std::vector<float> part = clip("three_s");
  int64_t n = 0;
  while (n <= static_cast<int64_t>(Spool::kMemorySamples)) writer->push(part), n += static_cast<int64_t>(part.size());
  const AudioSummary done = writer->finish();
  EXPECT_EQ(done.n_samples, n);
  EXPECT_NEAR(*done.loudness_lufs, -20, 0.1);
}

}  // namespace
}  // namespace csm::test
