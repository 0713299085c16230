// What the engine speaks is marked on every path, unless it is told not to.
#include "engine_test.h"

namespace csm::test {
namespace {

SpeechRequest long_enough(uint64_t seed) {
  SpeechRequest request;
  request.text = "Nobody knows why the old clock in the hall has stopped again.";
  request.seed = seed;
  request.max_seconds = 2.8;
  request.min_frames = 34;
  return request;
}

TEST(Watermark, SpeechOfTheBundledModelCarriesItOnEveryPath) {
  const auto engine = open_demo();
  SpeechRequest request = long_enough(1);
  request.watermark.payload = 0x600DF00D;
  const SpeechResult whole = engine->synthesize(request, {});
  EXPECT_TRUE(whole.stats.watermark.embedded);
  EXPECT_EQ(whole.stats.watermark.payload, 0x600DF00Du);
  EXPECT_EQ(whole.stats.watermark.key_name, "public");
  EXPECT_EQ(whole.stats.watermark.preset, WatermarkPreset::kNormal);
  EXPECT_GT(whole.stats.watermark.changed_share, 0.05);

  WatermarkSearch search;
  search.known_payloads.push_back(request.watermark.payload);
  const WatermarkFinding finding = find_watermark(whole.audio, search).front();
  EXPECT_TRUE(finding.found) << finding.z;
  EXPECT_EQ(finding.payload, 0x600DF00Du);

  SpeechRequest unmarked = request;
  unmarked.watermark.enabled = false;
  const std::vector<SpeechResult> batch = engine->synthesize_batch({request, unmarked});
  EXPECT_EQ(batch[0].codes.ids, whole.codes.ids);
  EXPECT_EQ(find_watermark(batch[0].audio, search).front().payload, 0x600DF00Du);
  EXPECT_FALSE(find_watermark(batch[1].audio, search).front().found);
  EXPECT_FALSE(batch[1].stats.watermark.embedded);

  const auto stream = engine->start(request);
  std::vector<float> streamed, samples;
  while (stream->next(samples)) streamed.insert(streamed.end(), samples.begin(), samples.end());
  EXPECT_EQ(streamed, whole.audio.samples);
  EXPECT_TRUE(stream->result().stats.watermark.embedded);
}

TEST(Watermark, LengthAndCodesAreThoseOfUnmarkedSpeech) {
  const auto engine = open_tiny("csm-tiny-b");
  SpeechRequest request = long_enough(3);
  request.max_seconds = 1.2;
  const SpeechResult marked = engine->synthesize(request, {});
  request.watermark.enabled = false;
  const SpeechResult plain = engine->synthesize(request, {});
  EXPECT_EQ(marked.codes.ids, plain.codes.ids);
  ASSERT_EQ(marked.audio.samples.size(), plain.audio.samples.size());
  EXPECT_EQ(engine->decode(plain.codes).samples, plain.audio.samples);
  EXPECT_NE(marked.audio.samples, plain.audio.samples);
}

}  // namespace
}  // namespace csm::test
