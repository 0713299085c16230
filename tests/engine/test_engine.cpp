// Whole utterances on the tiny checkpoints: tokens, prompts, greedy codes and samples equal the goldens; bad requests
// end in one clear error and leave the engine usable.
#include <cmath>
#include <filesystem>
#include <set>
#include <system_error>

#include "engine_test.h"

namespace csm::test {
namespace {

// The conversations for which the checkpoint has a golden file of this kind.
std::vector<std::string> conversations(const GoldenModel& model, const std::string& kind) {
  std::vector<std::string> names;
  for (const char* name : {"text", "ctx", "eos"}) {
    std::error_code error;
    if (std::filesystem::exists(gold_path(model, kind + name), error)) names.push_back(name);
  }
  return names;
}

class GoldenEngine : public ::testing::TestWithParam<GoldenModel> {
 protected:
  std::shared_ptr<Engine> engine_ = open_tiny(GetParam().checkpoint);
};

TEST_P(GoldenEngine, PromptIsTheGoldenOne) {
  for (const std::string& name : conversations(GetParam(), "greedy_")) {
    const Arrays golden = read_arrays(gold_path(GetParam(), "prompt_" + name));
    const Prompt prompt = engine_->prompt(golden_request(GetParam(), name));
    EXPECT_EQ(prompt.n_columns, golden.at("frames").dim(1));
    EXPECT_EQ(prompt.frames, golden.at("frames").as_int()) << name;
    const std::vector<int32_t> mask(prompt.mask.begin(), prompt.mask.end());
    EXPECT_EQ(mask, golden.at("mask").as_int()) << name;
  }
}

TEST_P(GoldenEngine, GreedyCodesAreTheGoldenOnes) {
  for (const std::string& name : conversations(GetParam(), "greedy_")) {
    SpeechRequest request = golden_request(GetParam(), name);
    std::vector<int32_t> expected = golden_codes(GetParam(), name);
    const auto n_codebooks = static_cast<size_t>(engine_->n_codebooks());
    const bool ends = name == "eos";
    if (ends) {
      expected.resize(expected.size() - n_codebooks);  // the all-zero frame is not speech
    } else {
      request.max_seconds =
          static_cast<double>(expected.size() / n_codebooks * static_cast<size_t>(engine_->frame_samples())) /
          engine_->sample_rate_hz();
    }
    const SpeechResult result = engine_->synthesize(request, {});
    EXPECT_EQ(result.codes.ids, expected) << name;
    EXPECT_EQ(result.codes.n_codebooks, engine_->n_codebooks());
    EXPECT_EQ(result.stats.finish_reason, ends ? FinishReason::kEnd : FinishReason::kMaxLength) << name;
    EXPECT_EQ(result.audio.samples.size(),
              expected.size() / n_codebooks * static_cast<size_t>(engine_->frame_samples()));
    EXPECT_EQ(engine_->decode(result.codes).samples, result.audio.samples)
        << "the codes are those of the samples, bit for bit";
  }
}

TEST_P(GoldenEngine, ContextGivenAsCodesIsTheSame) {
  for (const std::string& name : conversations(GetParam(), "greedy_")) {
    const SpeechRequest with_audio = golden_request(GetParam(), name);
    SpeechRequest with_codes = with_audio;
    for (Turn& turn : with_codes.context) {
      turn.codes = engine_->encode(*turn.audio, 0);
      turn.audio.reset();
    }
    EXPECT_EQ(engine_->prompt(with_codes).frames, engine_->prompt(with_audio).frames) << name;
  }
}

TEST_P(GoldenEngine, TraceFollowsAForcedPath) {
  for (const std::string& name : conversations(GetParam(), "forced_")) {
    const Arrays golden = read_arrays(gold_path(GetParam(), "forced_" + name));
    TraceRequest request;
    request.prompt = engine_->prompt(golden_request(GetParam(), name));
    request.forced = Codes{golden.at("codes").as_int(), engine_->n_codebooks()};
    const Trace trace = engine_->trace(request);
    EXPECT_EQ(trace.codes.ids, request.forced->ids);
    EXPECT_LT(max_difference(trace.hidden, golden.at("hidden").values), 1e-4f) << name;
    if (golden.count("logits") != 0) {
      EXPECT_LT(max_difference(trace.logits, golden.at("logits").values), 3e-4f) << name;
    }
    const auto n_rows = static_cast<size_t>(trace.codes.n_frames() * trace.codes.n_codebooks);
    EXPECT_EQ(trace.logits.size(), n_rows * static_cast<size_t>(trace.audio_vocab));
  }
}

TEST_P(GoldenEngine, TraceRunsFreelyToTheEndFrame) {
  for (const std::string& name : conversations(GetParam(), "greedy_")) {
    const Arrays golden = read_arrays(gold_path(GetParam(), "greedy_" + name));
    TraceRequest request;
    request.prompt = engine_->prompt(golden_request(GetParam(), name));
    request.max_frames = name == "eos" ? 20 : static_cast<int>(golden.at("codes").dim(0));
    const Trace trace = engine_->trace(request);
    EXPECT_EQ(trace.codes.ids, golden.at("codes").as_int()) << name << ": the end frame included";
    EXPECT_LT(max_difference(trace.hidden, golden.at("hidden").values), 1e-4f) << name;
    EXPECT_EQ(trace.hidden.size(), static_cast<size_t>(trace.codes.n_frames() * trace.backbone_width));
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenEngine, ::testing::ValuesIn(kLanguageModels),
                         [](const auto& test) { return std::string(test.param.name); });

constexpr GoldenModel kTinyF = {"f", "csm-tiny-f/hf-f32", "csm-tiny-f-f32"};

TEST(EngineTokens, AreTheGoldenOnes) {
  const auto engine = open_tiny("csm-tiny-a");
  const nlohmann::json golden = parse_json_file(kData + "/gold/csm-tiny-a/tokenizer_vectors.json", 1 << 20);
  for (const nlohmann::json& vector : golden.at("vectors")) {
    const TokenizeResult result = engine->tokenize(vector.at("text").get<std::string>());
    EXPECT_EQ(result.ids, vector.at("ids").get<std::vector<int>>());
    EXPECT_EQ(result.ids_bos_eos, vector.at("ids_bos_eos").get<std::vector<int>>());
    EXPECT_EQ(result.tokens.size(), result.ids.size());
  }
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { engine->tokenize("a\xFF"); }), "UTF-8"));
}

TEST(EngineEnd, OnlyAFrameOfZeroesInAllCodebooksEnds) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  const SpeechResult result = engine->synthesize(golden_request(kTinyF, "eos"), {});
  ASSERT_EQ(result.codes.n_frames(), 7);
  const std::vector<int32_t>& ids = result.codes.ids;
  EXPECT_EQ(std::vector<int32_t>(ids.begin() + 24, ids.begin() + 31), std::vector<int32_t>(7, 0))
      << "frame 3, all but the last";
  EXPECT_NE(ids[31], 0);
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kEnd);
}

TEST(EngineEnd, AMinimumLengthKeepsItFromEnding) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request = golden_request(kTinyF, "eos");
  request.min_frames = 10;
  request.max_seconds = 1;
  EXPECT_GE(engine->synthesize(request, {}).codes.n_frames(), 10);
}

// The conversation that ends at frame 7, continued by what it said so far, ends at once.
TEST(EngineEnd, NothingGeneratedIsNotAnError) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request = golden_request(kTinyF, "eos");
  request.backbone_sampling->logit_bias = {{0, 1000.0f}};
  request.depth_sampling->logit_bias = {{0, 1000.0f}};
  const SpeechResult result = engine->synthesize(request, {});
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kEnd);
  EXPECT_EQ(result.codes.n_frames(), 0);
  EXPECT_TRUE(result.audio.samples.empty());
  EXPECT_EQ(result.audio.sample_rate_hz, 24'000);
  EXPECT_EQ(result.stats.real_time_factor, 0);
}

TEST(EngineSampling, TheSeedDecides) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request;
  request.text = "Hello.";
  request.max_seconds = 2;
  std::set<std::vector<int32_t>> different;
  for (request.seed = 0; request.seed < 4; ++request.seed) {
    const SpeechResult once = engine->synthesize(request, {});
    const SpeechResult again = engine->synthesize(request, {});
    EXPECT_EQ(once.codes.ids, again.codes.ids);
    EXPECT_EQ(once.audio.samples, again.audio.samples);
    EXPECT_EQ(once.stats.seed, request.seed);
    different.insert(once.codes.ids);
  }
  EXPECT_EQ(different.size(), 4u);
}

TEST(EngineSampling, DefaultsAreTheModelsOwn) {
  const auto engine = open_demo();
  EXPECT_FLOAT_EQ(engine->default_backbone_sampling().temperature, 0.4f);
  EXPECT_EQ(engine->default_depth_sampling().top_k, 50);
  SpeechRequest request;
  request.text = "Hello.";
  request.max_seconds = 1;
  const SpeechResult implicit = engine->synthesize(request, {});
  request.backbone_sampling = engine->default_backbone_sampling();
  request.depth_sampling = engine->default_depth_sampling();
  EXPECT_EQ(engine->synthesize(request, {}).codes.ids, implicit.codes.ids);
}

TEST(EngineStatistics, SayWhatHappened) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request = golden_request(kTinyF, "eos");
  request.seed = 99;
  std::vector<SpeechProgress> progress;
  const SpeechStats stats =
      engine->synthesize(request, [&](const SpeechProgress& p) { return progress.push_back(p), true; }).stats;
  EXPECT_EQ(stats.n_prompt_positions, 27);
  EXPECT_EQ(stats.n_frames, 7);
  EXPECT_EQ(stats.n_threads, 1);
  EXPECT_EQ(stats.seed, 99u);
  EXPECT_DOUBLE_EQ(stats.audio_seconds, 7 * 0.08);
  EXPECT_GT(stats.context_ms, 0);
  EXPECT_GT(stats.prefill_ms, 0);
  EXPECT_GE(stats.first_audio_ms, stats.context_ms + stats.prefill_ms);
  EXPECT_GE(stats.total_ms, stats.first_audio_ms);
  EXPECT_DOUBLE_EQ(stats.real_time_factor, stats.total_ms / 1000 / stats.audio_seconds);
  EXPECT_GT(stats.peak_memory_bytes, 1u << 20);
  ASSERT_EQ(progress.size(), 7u);
  for (size_t i = 0; i < progress.size(); ++i) {
    EXPECT_EQ(progress[i].n_frames, static_cast<int>(i) + 1);
    EXPECT_DOUBLE_EQ(progress[i].audio_seconds, 0.08 * static_cast<double>(i + 1));
  }
}

TEST(EngineThreads, OneAndTwoGiveTheSameSamples) {
  EngineOptions options = options_for(std::string(CSM_MODELS_DIR) + "/demo");
  SpeechRequest request;
  request.text = "Good morning.";
  request.seed = 3;
  request.max_seconds = 2;
  const SpeechResult one = Engine::open(options)->synthesize(request, {});
  options.n_threads = 2;
  const auto engine = Engine::open(options);
  EXPECT_EQ(engine->n_threads(), 2);
  const SpeechResult two = engine->synthesize(request, {});
  EXPECT_EQ(one.codes.ids, two.codes.ids);
  EXPECT_EQ(one.audio.samples, two.audio.samples);
}

TEST(EngineContext, AnyRateIsResampledAndFewerCodebooksAreRefused) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request = greedy_request("Yes.");
  Turn turn;
  turn.text = "Who?";
  turn.audio = read_audio(kData + "/audio/tones_s16_44k.wav");
  request.context = {turn};
  const int n_text = engine->prompt(greedy_request("Yes.")).n_positions();
  const int n_frames = engine->encode(*turn.audio, 0).n_frames();
  EXPECT_EQ(n_frames, static_cast<int>(std::ceil(turn.audio->seconds() * 12.5)));
  const Prompt prompt = engine->prompt(request);
  EXPECT_GT(prompt.n_positions(), n_text + n_frames);
  EXPECT_EQ(engine->synthesize(request, {}).stats.n_prompt_positions, prompt.n_positions());

  request.context[0].codes = engine->encode(*turn.audio, 3);
  request.context[0].audio.reset();
  const std::string message = error_of(ErrorCode::kInvalidArgument, [&] { engine->prompt(request); });
  EXPECT_TRUE(contains(message, "context turn 1 has 3 codebooks, but the model speaks 8")) << message;
  request.context[0].codes = Codes{std::vector<int32_t>(8, 32), 8};
  error_of(ErrorCode::kInvalidArgument, [&] { engine->prompt(request); });
}

TEST(EngineWindow, WhatDoesNotFitIsRefusedBeforeTheWork) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  SpeechRequest request = greedy_request(std::string(100'000, 'a'));
  std::string message = error_of(ErrorCode::kResourceLimit, [&] { engine->synthesize(request, {}); });
  EXPECT_TRUE(contains(message, "tokens of text")) << message;
  EXPECT_TRUE(contains(message, "window has 2048")) << message;

  request = greedy_request("Yes.");
  Turn turn;
  turn.text = "Long.";
  turn.audio = Audio{std::vector<float>(24'000 * 200, 0.0f), 24'000};  // 2,500 frames
  request.context = {turn};
  message = error_of(ErrorCode::kResourceLimit, [&] { engine->synthesize(request, {}); });
  EXPECT_TRUE(contains(message, "shorten the context")) << message;

  request = greedy_request("Yes.");
  request.max_seconds = 1000;
  message = error_of(ErrorCode::kResourceLimit, [&] { engine->synthesize(request, {}); });
  EXPECT_TRUE(contains(message, "lower max-seconds")) << message;
}

TEST(EngineWindow, IsUsedToItsEnd) {
  const auto engine = open_tiny("nano");
  SpeechRequest request;
  request.text = "Hi";
  request.min_frames = 1;
  const int n_prompt = engine->prompt(request).n_positions();
  Turn turn;
  turn.codes = Codes{std::vector<int32_t>(2 * static_cast<size_t>(2048 - 300 - n_prompt), 1), 2};
  request.context = {turn};
  const int n_with_context = engine->prompt(request).n_positions();
  ASSERT_LT(n_with_context, 2048);
  request.max_seconds = static_cast<double>(2048 - n_with_context) * engine->frame_samples() / engine->sample_rate_hz();
  request.min_frames = 2048 - n_with_context;  // to the last position of the window
  const SpeechResult result = engine->synthesize(request, {});
  EXPECT_EQ(result.stats.n_prompt_positions + result.stats.n_frames, 2048);
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kMaxLength);
}

TEST(EngineErrors, LeaveItUsable) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  const SpeechRequest good = golden_request(kTinyF, "eos");
  const std::vector<int32_t> expected = engine->synthesize(good, {}).codes.ids;
  const auto still_good = [&] { EXPECT_EQ(engine->synthesize(good, {}).codes.ids, expected); };

  error_of(ErrorCode::kInvalidArgument, [&] { engine->synthesize(SpeechRequest{}, {}); });
  still_good();
  error_of(ErrorCode::kInvalidArgument, [&] { engine->encode(Audio{}, 0); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->encode(Audio{{0, std::nanf("")}, 24'000}, 0); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->encode(Audio{{0, 0}, -5}, 0); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->encode(golden_clip("short"), 9); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->encode(golden_clip("short"), -1); });
  still_good();
  error_of(ErrorCode::kInvalidArgument, [&] { engine->decode(Codes{{1, 2, 3}, 0}); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->decode(Codes{{1, 2, 3}, 2}); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->decode(Codes{{1, 2, 32}, 3}); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->decode(Codes{{1, -1}, 2}); });
  error_of(ErrorCode::kInvalidArgument, [&] { engine->decode(Codes{std::vector<int32_t>(9), 9}); });
  still_good();
}

TEST(EngineErrors, OfTraces) {
  const auto engine = open_tiny(kTinyF.checkpoint);
  TraceRequest good;
  good.prompt = engine->prompt(greedy_request("Hi"));
  good.max_frames = 2;
  const auto trace_error = [&](ErrorCode code, const std::function<void(TraceRequest&)>& change) {
    TraceRequest request = good;
    change(request);
    return error_of(code, [&] { engine->trace(request); });
  };
  EXPECT_EQ(engine->trace(good).codes.n_frames(), 2);
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.prompt.n_columns = 8; });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.prompt.frames.clear(), r.prompt.mask.clear(); });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.prompt.mask.pop_back(); });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.prompt.frames[8] = 1'000'000; });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.max_frames = 0; });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.forced = Codes{{1, 2}, 2}; });
  trace_error(ErrorCode::kInvalidArgument, [](TraceRequest& r) { r.forced = Codes{std::vector<int32_t>(8, 35), 8}; });
  trace_error(ErrorCode::kResourceLimit, [](TraceRequest& r) { r.max_frames = 2048; });
  EXPECT_EQ(engine->trace(good).codes.n_frames(), 2);
}

TEST(EngineOpen, SaysWhatIsMissing) {
  error_of(ErrorCode::kNotFound, [] { Engine::open(options_for(kData + "/no-such-model")); });
  error_of(ErrorCode::kNotFound, [] { Engine::open(options_for(kData + "/audio")); });
  EngineOptions options = options_for(kData + "/ckpt/nano");
  options.device = "no-such-device";
  error_of(ErrorCode::kNotFound, [&] { Engine::open(options); });
}

TEST(EngineOpen, ACodecAloneEncodesAndDecodes) {
  const auto engine = open_tiny("mimi-tiny-c");
  EXPECT_FALSE(engine->has_language_model());
  EXPECT_EQ(engine->n_codebooks(), 32);
  const Arrays golden = read_arrays(kData + "/gold/mimi-tiny-c/mimi_decode.safetensors");
  const Array& by_codebook = golden.at("long.codes");  // [n_codebooks, n_frames]
  Codes codes{std::vector<int32_t>(by_codebook.values.size()), static_cast<int>(by_codebook.dim(0))};
  for (size_t i = 0; i < codes.ids.size(); ++i) {
    const size_t n_frames = static_cast<size_t>(by_codebook.dim(1));
    codes.ids[i % n_frames * static_cast<size_t>(codes.n_codebooks) + i / n_frames] =
        static_cast<int32_t>(by_codebook.values[i]);
  }
  EXPECT_LT(max_difference(engine->decode(codes).samples, golden.at("long.wav").values), 5e-5f);

  SpeechRequest request;
  request.text = "Hello.";
  EXPECT_TRUE(contains(error_of(ErrorCode::kUnsupported, [&] { engine->synthesize(request, {}); }), "codec alone"));
  error_of(ErrorCode::kUnsupported, [&] { engine->start(request); });
  error_of(ErrorCode::kUnsupported, [&] { engine->trace({}); });
  error_of(ErrorCode::kNotFound, [&] { engine->tokenize("x"); });
}

}  // namespace
}  // namespace csm::test
