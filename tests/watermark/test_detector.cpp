// Finding and reading the mark, and not finding it where it is not.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csm/error.h>

#include "attacks.h"

namespace csm {
namespace {

WatermarkOptions with_payload(uint32_t payload) {
  WatermarkOptions options;
  options.payload = payload;
  return options;
}

WatermarkFinding find(const Audio& audio) { return find_watermark(audio, WatermarkSearch()).front(); }

// A smoke of the table in docs/watermark.md: every clip must be found after every attack, nearly all must be read.
TEST(Smoke, EightClipsSurviveWhatIsBuiltIn) {
  constexpr int kClips = 8;
  std::vector<Audio> clips;
  std::vector<uint32_t> payloads;
  for (uint32_t i = 0; i < kClips; ++i) {
    payloads.push_back(0x1234'5678u * (i + 1));
    clips.push_back(mark_audio(speech_like(5, 100 + i), with_payload(payloads.back())));
  }
  for (const Attack& attack : attacks()) {
    int found = 0, read = 0;
    for (size_t i = 0; i < kClips; ++i) {
      WatermarkSearch search;
      search.known_payloads.clear();
      const Audio attacked = attack.apply(clips[i]);
      const WatermarkFinding finding = find_watermark(attacked, search).front();
      if (finding.found) {
        EXPECT_EQ(finding.payload, payloads[i]) << attack.name;
      }
      read += finding.found ? 1 : 0;
      search.known_payloads = {payloads[i]};
      found += finding.found || find_watermark(attacked, search).front().found ? 1 : 0;
    }
    std::printf("%-16s found %d, read %d of %d\n", attack.name, found, read, kClips);
    EXPECT_EQ(found, kClips) << attack.name;
    EXPECT_GE(read, kClips - 1) << attack.name;
  }
}

TEST(Find, TellsPayloadOffsetAndRegion) {
  const Audio speech = mark_audio(speech_like(4, 1), WatermarkOptions());
  const WatermarkFinding finding = find(after_silence(speech, 1.5));
  ASSERT_TRUE(finding.found);
  EXPECT_EQ(finding.key_name, "public");
  EXPECT_EQ(finding.payload, kDefaultWatermarkPayload);
  EXPECT_FALSE(finding.payload_was_read);
  EXPECT_GT(finding.z, 10);
  EXPECT_LT(finding.false_positive_probability, 1e-12);
  EXPECT_NEAR(finding.offset_seconds, 1.5, 0.02);
  EXPECT_EQ(finding.speed, 1);
  ASSERT_EQ(finding.regions.size(), 1u);
  EXPECT_NEAR(finding.regions[0].begin_seconds, 1.5, 0.6);
  EXPECT_NEAR(finding.regions[0].end_seconds, 5.5, 0.6);
}

TEST(Find, UnmarkedSpeechNoiseTonesAndSilenceAreClean) {
  std::vector<Audio> sounds = {speech_like(4, 2), with_noise({std::vector<float>(72'000, 1e-3f), kTestRateHz}, 0, 3),
                               {std::vector<float>(48'000), kTestRateHz}, {{0.5f}, kTestRateHz},
                               {{}, kTestRateHz}};
  Audio tones;
  tones.sample_rate_hz = kTestRateHz;
  for (size_t i = 0; i < 96'000; ++i) {  // keys of a telephone
    const double row[] = {697, 770, 852, 941}, column[] = {1209, 1336, 1477};
    const size_t digit = i / 2'400;
    const double t = static_cast<double>(i) / kTestRateHz;
    const bool on = i % 2'400 < 1'600;
    const double x = std::sin(2 * M_PI * row[digit % 4] * t) + std::sin(2 * M_PI * column[digit % 3] * t);
    tones.samples.push_back(on ? static_cast<float>(0.3 * x) : 0.0f);
  }
  sounds.push_back(tones);
  for (size_t i = 0; i < sounds.size(); ++i) {
    const WatermarkFinding finding = find(sounds[i]);
    EXPECT_FALSE(finding.found) << i;
    EXPECT_FALSE(finding.payload.has_value());
    EXPECT_TRUE(finding.regions.empty());
    EXPECT_GE(finding.false_positive_probability, 1e-6);
  }
}

TEST(Find, AnotherKeyFindsNothingAndSeveralAreToldApart) {
  WatermarkOptions options = with_payload(0xABCD);
  options.key = test_key(1);
  const Audio speech = mark_audio(speech_like(4, 3), options);
  WatermarkSearch search;
  search.keys = {public_watermark_key(), test_key(2), test_key(1), test_key(3)};
  const std::vector<WatermarkFinding> findings = find_watermark(speech, search);
  ASSERT_EQ(findings.size(), 4u);
  for (size_t i = 0; i < findings.size(); ++i) EXPECT_EQ(findings[i].found, i == 2) << i << " z " << findings[i].z;
  EXPECT_EQ(findings[2].payload, 0xABCDu);
  EXPECT_TRUE(findings[2].payload_was_read);
}

TEST(Find, TwoMarksInOneSoundAreBothRead) {
  WatermarkOptions first = with_payload(0x11111111), second = with_payload(0x22222222);
  first.key = test_key(1);
  second.key = test_key(2);
  const Audio speech = mark_audio(mark_audio(speech_like(6, 4), first), second);
  WatermarkSearch search;
  search.keys = {first.key, second.key};
  const std::vector<WatermarkFinding> findings = find_watermark(speech, search);
  EXPECT_EQ(findings[0].payload, first.payload);
  EXPECT_EQ(findings[1].payload, second.payload);
}

TEST(Find, AMarkedUtteranceInALongUnmarkedFileIsLocated) {
  Audio file = speech_like(9, 5);
  const Audio marked = mark_audio(speech_like(4, 6), WatermarkOptions()), rest = speech_like(8, 7);
  file.samples.insert(file.samples.end(), marked.samples.begin(), marked.samples.end());
  file.samples.insert(file.samples.end(), rest.samples.begin(), rest.samples.end());
  const WatermarkFinding finding = find(file);
  ASSERT_TRUE(finding.found);
  ASSERT_EQ(finding.regions.size(), 1u);
  EXPECT_NEAR(finding.regions[0].begin_seconds, 9, 0.7);
  EXPECT_NEAR(finding.regions[0].end_seconds, 13, 0.7);
}

TEST(Find, UtterancesWithPayloadsOfTheirOwnAreRegionsOfTheirOwn) {
  Audio file = mark_audio(speech_like(6, 8), with_payload(1));
  const Audio second = mark_audio(speech_like(6.3, 9), with_payload(2));
  file.samples.insert(file.samples.end(), second.samples.begin(), second.samples.end());
  const WatermarkFinding finding = find(file);
  ASSERT_TRUE(finding.found);
  ASSERT_EQ(finding.regions.size(), 2u);
  EXPECT_EQ(finding.regions[0].payload, 1u);
  EXPECT_EQ(finding.regions[1].payload, 2u);
}

TEST(Find, SpeedChangesNeedTheSearch) {
  const Audio speech = mark_audio(speech_like(5, 10), WatermarkOptions());
  Audio fast = speech;
  fast.sample_rate_hz = 24'480;  // played 2 % too fast
  fast = resample(fast, kTestRateHz);
  EXPECT_FALSE(find(fast).found);
  WatermarkSearch search;
  search.speeds = true;
  const WatermarkFinding finding = find_watermark(fast, search).front();
  ASSERT_TRUE(finding.found);
  EXPECT_NEAR(finding.speed, 1.02, 0.002);
  EXPECT_EQ(finding.payload, kDefaultWatermarkPayload);
}

TEST(Find, ChecksWhatItIsAskedFor) {
  WatermarkSearch search;
  search.keys.clear();
  EXPECT_THROW(find_watermark(speech_like(0.1, 1), search), Error);
  search = {};
  search.false_positive_target = 0;
  EXPECT_THROW(search.validate(), Error);
  search = {};
  search.known_payloads.resize(65);
  EXPECT_THROW(search.validate(), Error);
}

TEST(MarkAudio, EveryRateIsFoundAgain) {
  for (const int rate : {8'000, 11'025, 16'000, 22'050, 44'100, 48'000}) {
    const Audio speech = resample(speech_like(5, 11), rate);
    const Audio marked = mark_audio(speech, WatermarkOptions());
    ASSERT_EQ(marked.samples.size(), speech.samples.size());
    EXPECT_TRUE(find(marked).found) << rate;
  }
}

TEST(MarkAudio, FilesKeepTheirChannelsAndRate) {
  const std::string folder = ::testing::TempDir() + "/csm-mark-" + std::to_string(::getpid());
  const std::string from = std::string(CSM_TEST_DATA) + "/audio/s24_stereo_44k.wav", to = folder + ".flac";
  mark_audio_file(from, to, WatermarkOptions(), SampleFormat::kInt16);
  const Audio before = read_audio(from), after = read_audio(to);
  std::remove(to.c_str());
  EXPECT_EQ(after.sample_rate_hz, before.sample_rate_hz);
  EXPECT_EQ(after.samples.size(), before.samples.size());
}

}  // namespace
}  // namespace csm
