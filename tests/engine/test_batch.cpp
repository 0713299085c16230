// Requests in lock step: each gets what it would get alone.
#include "engine_test.h"

namespace csm::test {
namespace {

constexpr GoldenModel kTinyF = {"f", "csm-tiny-f/hf-f32", "csm-tiny-f-f32"};

// Different texts, lengths, seeds and ways to draw.
std::vector<SpeechRequest> four_requests() {
  std::vector<SpeechRequest> requests(4);
  const char* texts[] = {"Good morning.", "How are you?", "It is late.", "Yes."};
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].text = texts[i];
    requests[i].speaker = static_cast<int>(i % 2);
    requests[i].seed = 100 + i;
    requests[i].max_seconds = 0.4 + 0.4 * static_cast<double>(i);
  }
  requests[2].backbone_sampling = requests[2].depth_sampling = greedy();
  return requests;
}

void expect_same_as_alone(Engine& engine, const std::vector<SpeechRequest>& requests) {
  const std::vector<SpeechResult> together = engine.synthesize_batch(requests);
  ASSERT_EQ(together.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const SpeechResult alone = engine.synthesize(requests[i], {});
    EXPECT_EQ(together[i].codes.ids, alone.codes.ids) << "request " << i;
    EXPECT_EQ(together[i].stats.finish_reason, alone.stats.finish_reason);
    EXPECT_EQ(together[i].stats.n_frames, alone.stats.n_frames);
    EXPECT_EQ(together[i].stats.seed, requests[i].seed);
    EXPECT_EQ(together[i].audio.samples.size(), alone.audio.samples.size());
    EXPECT_LT(max_difference(together[i].audio.samples, alone.audio.samples), 1e-5f);
  }
}

TEST(Batch, EachGetsWhatItWouldGetAlone) {
  for (const auto& engine : {open_demo(), open_tiny("csm-tiny-b"), open_tiny("csm-tiny-f/hf-f32")}) {
    expect_same_as_alone(*engine, four_requests());
  }
}

TEST(Batch, OneThatEndsDropsOut) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  std::vector<SpeechRequest> requests = four_requests();
  requests[1] = golden_request(kTinyF, "eos");
  expect_same_as_alone(*engine, requests);
  const std::vector<SpeechResult> results = engine->synthesize_batch(requests);
  EXPECT_EQ(results[1].codes.n_frames(), 7);
  EXPECT_EQ(results[1].stats.finish_reason, FinishReason::kEnd);
  EXPECT_EQ(results[3].codes.n_frames(), 20);
}

TEST(Batch, OfNoneAndOfOne) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  EXPECT_TRUE(engine->synthesize_batch({}).empty());
  const std::vector<SpeechRequest> one = {four_requests()[3]};
  EXPECT_EQ(engine->synthesize_batch(one).at(0).audio.samples, engine->synthesize(one[0], {}).audio.samples);
}

TEST(Batch, AnErrorNamesTheRequest) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  std::vector<SpeechRequest> requests = four_requests();
  requests[2].text = "";
  const std::string message = error_of(ErrorCode::kInvalidArgument, [&] { engine->synthesize_batch(requests); });
  EXPECT_TRUE(contains(message, "request 3 of 4: the text to speak is empty")) << message;
  expect_same_as_alone(*engine, four_requests());
}

}  // namespace
}  // namespace csm::test
