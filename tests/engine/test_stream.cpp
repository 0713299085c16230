// Streams: the same samples as a whole utterance, cancelled, dropped, failed, and outliving everything else.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "engine_test.h"

namespace csm::test {
namespace {

SpeechRequest sampled(const std::string& text, double seconds) {
  SpeechRequest request;
  request.text = text;
  request.seed = 11;
  request.max_seconds = seconds;
  return request;
}

constexpr size_t kHeldBack = 480;  // samples that the watermark keeps until the end

// Everything a stream gives from here on; about one frame at a time.
std::vector<float> drain(SpeechStream& stream, int frame_samples) {
  std::vector<float> all;
  std::vector<float> samples;
  while (stream.next(samples)) {
    EXPECT_GE(samples.size(), std::min(kHeldBack, static_cast<size_t>(frame_samples)));
    all.insert(all.end(), samples.begin(), samples.end());
  }
  EXPECT_TRUE(samples.empty());
  return all;
}

TEST(Stream, EqualsTheWholeBitForBit) {
  for (const auto& engine : {open_demo(), open_tiny("csm-tiny-b")}) {
    const SpeechRequest request = sampled("Good morning.", 2);
    const SpeechResult whole = engine->synthesize(request, {});
    const auto stream = engine->start(request);
    EXPECT_EQ(drain(*stream, engine->frame_samples()), whole.audio.samples);
    const SpeechResult streamed = stream->result();
    EXPECT_EQ(streamed.codes.ids, whole.codes.ids);
    EXPECT_EQ(streamed.audio.samples, whole.audio.samples);
    EXPECT_EQ(streamed.stats.finish_reason, whole.stats.finish_reason);
    EXPECT_EQ(streamed.stats.n_frames, whole.stats.n_frames);
    std::vector<float> samples;
    EXPECT_FALSE(stream->next(samples)) << "the end stays the end";
  }
}

TEST(Stream, ResultGrowsWithTheFrames) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const auto stream = engine->start(sampled("Hello.", 20));
  std::vector<float> samples;
  ASSERT_TRUE(stream->next(samples));
  const SpeechResult early = stream->result();
  EXPECT_GE(early.codes.n_frames(), 1);
  EXPECT_EQ(early.codes.n_frames(), early.stats.n_frames);
  EXPECT_EQ(early.audio.samples.size() + kHeldBack,
            static_cast<size_t>(early.codes.n_frames() * engine->frame_samples()));
  EXPECT_GT(early.stats.first_audio_ms, 0);
  stream->cancel();
}

TEST(Stream, CancelStopsIt) {
  const auto engine = open_tiny("csm-tiny-a");
  const auto stream = engine->start(sampled("Hello.", 100));
  std::vector<float> samples;
  ASSERT_TRUE(stream->next(samples));
  std::thread other([&] { stream->cancel(); });
  drain(*stream, engine->frame_samples());
  other.join();
  const SpeechResult result = stream->result();
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kCancelled);
  EXPECT_LT(result.codes.n_frames(), 1250);
  EXPECT_EQ(result.audio.samples.size(), static_cast<size_t>(result.codes.n_frames() * engine->frame_samples()));
}

TEST(Stream, CancelledBeforeItsTurnGivesNothing) {
  const auto engine = open_tiny("csm-tiny-a");
  const auto first = engine->start(sampled("Hello.", 100));
  const auto second = engine->start(sampled("Hello.", 100));
  second->cancel();
  first->cancel();
  EXPECT_TRUE(drain(*second, engine->frame_samples()).empty());
  EXPECT_EQ(second->result().stats.finish_reason, FinishReason::kCancelled);
}

TEST(Stream, DroppedEarlyItStopsAndTheEngineGoesOn) {
  const auto engine = open_tiny("csm-tiny-a");
  SpeechRequest shorter = sampled("Hello.", 0.4);
  const std::vector<int32_t> expected = engine->synthesize(shorter, {}).codes.ids;
  for (int i = 0; i < 3; ++i) {
    auto stream = engine->start(sampled("Hello.", 100));
    auto waiting = engine->start(sampled("Hello.", 100));
    std::vector<float> samples;
    if (i > 0) {
      ASSERT_TRUE(stream->next(samples));
    }
    if (i == 2) stream.reset();
  }
  EXPECT_EQ(engine->synthesize(shorter, {}).codes.ids, expected);
}

TEST(Stream, OutlivesTheLastReferenceToItsEngine) {
  auto engine = open_tiny("csm-tiny-f/hf-f32");
  const std::vector<float> expected = engine->synthesize(sampled("Hello.", 1), {}).audio.samples;
  const int frame_samples = engine->frame_samples();
  auto stream = engine->start(sampled("Hello.", 1));
  auto unread = engine->start(sampled("Hello.", 100));
  engine.reset();
  EXPECT_EQ(drain(*stream, frame_samples), expected);
  stream.reset();
  unread.reset();  // takes the engine with it
}

TEST(Stream, ASlowListenerHoldsUpNobody) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const auto unread = engine->start(sampled("Hello.", 8));
  EXPECT_EQ(engine->synthesize(sampled("Hello.", 1), {}).codes.n_frames(), 12)
      << "comes after the stream that nobody reads";
  EXPECT_EQ(drain(*unread, engine->frame_samples()).size(), 100u * 1920u);
}

TEST(Stream, ErrorsComeOutWhereTheyAreKnown) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { engine->start(sampled(" ", 1)); }), "empty"));
  const auto stream = engine->start(sampled(std::string(100'000, 'a'), 1));
  std::vector<float> samples(3);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(contains(error_of(ErrorCode::kResourceLimit, [&] { stream->next(samples); }), "window has 2048"));
    EXPECT_TRUE(samples.empty());
  }
  EXPECT_EQ(stream->result().codes.n_frames(), 0);
  EXPECT_EQ(engine->synthesize(sampled("Hello.", 0.4), {}).codes.n_frames(), 5);
}

TEST(Progress, ReturningFalseCancels) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const SpeechResult result =
      engine->synthesize(sampled("Hello.", 20), [](const SpeechProgress& progress) { return progress.n_frames < 3; });
  EXPECT_EQ(result.codes.n_frames(), 3);
  EXPECT_EQ(result.audio.samples.size(), 3u * 1920u);
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kCancelled);
}

TEST(Progress, WhatItThrowsComesOutAndHarmsNothing) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const SpeechRequest request = sampled("Hello.", 1);
  const SpeechResult before = engine->synthesize(request, {});
  EXPECT_THROW(engine->synthesize(request, [](const SpeechProgress&) -> bool { throw std::domain_error("mine"); }),
               std::domain_error);
  EXPECT_EQ(engine->synthesize(request, {}).audio.samples, before.audio.samples);
}

TEST(Progress, CallingTheEngineFromItIsAnErrorAndNotADeadlock) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const auto call_back = [&](const SpeechProgress&) { return engine->encode(golden_clip("short"), 0).n_frames() > 0; };
  const std::string message =
      error_of(ErrorCode::kInvalidArgument, [&] { engine->synthesize(sampled("Hello.", 1), call_back); });
  EXPECT_TRUE(contains(message, "progress callback"));
}

TEST(Concurrency, CallsFromManyThreadsGetWhatTheyWouldGetAlone) {
  const auto engine = open_tiny("csm-tiny-f/hf-f32");
  const Audio clip = golden_clip("mid");
  const std::vector<int32_t> codes = engine->encode(clip, 0).ids;
  std::vector<SpeechRequest> requests;
  std::vector<std::vector<float>> expected;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    requests.push_back(sampled("Hello.", 1));
    requests.back().seed = seed;
    expected.push_back(engine->synthesize(requests.back(), {}).audio.samples);
  }
  std::atomic<int> n_wrong{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < requests.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        std::vector<float> all;
        if (round % 2 == 0) {
          all = engine->synthesize(requests[i], {}).audio.samples;
        } else {
          const auto stream = engine->start(requests[i]);
          std::vector<float> samples;
          while (stream->next(samples)) all.insert(all.end(), samples.begin(), samples.end());
        }
        if (all != expected[i] || engine->encode(clip, 0).ids != codes || engine->tokenize("Hi").ids.empty()) ++n_wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_wrong, 0);
}

}  // namespace
}  // namespace csm::test
