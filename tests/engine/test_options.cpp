// The words of EngineOptions, what requests may ask for, and how many frames a window leaves.
#include <limits>

#include "engine/loader.h"
#include "engine/options.h"
#include "engine_test.h"

namespace csm::test {
namespace {

std::string quantize_error(const std::string& text) {
  return error_of(ErrorCode::kInvalidArgument, [&] { parse_quantize(text); });
}

TEST(Quantize, OneTypeIsForBothParts) {
  EXPECT_FALSE(parse_quantize("").backbone);
  EXPECT_FALSE(parse_quantize("").depth);
  for (const auto& [text, type] : {std::pair{"q8_0", WeightType::kQ8_0},
                                   {"q6_K", WeightType::kQ6_K},
                                   {"q5_K", WeightType::kQ5_K},
                                   {"q4_K", WeightType::kQ4_K},
                                   {"q4_0", WeightType::kQ4_0},
                                   {"Q4_k", WeightType::kQ4_K}}) {
    EXPECT_EQ(parse_quantize(text).backbone, type) << text;
    EXPECT_EQ(parse_quantize(text).depth, type) << text;
  }
}

TEST(Quantize, PartsHaveTheirOwn) {
  const QuantizeChoice both = parse_quantize("backbone=q8_0,depth=q6_K");
  EXPECT_EQ(both.backbone, WeightType::kQ8_0);
  EXPECT_EQ(both.depth, WeightType::kQ6_K);
  const QuantizeChoice one = parse_quantize("depth=q4_0");
  EXPECT_FALSE(one.backbone);
  EXPECT_EQ(one.depth, WeightType::kQ4_0);
}

TEST(Quantize, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(contains(quantize_error("q3_K"), "q8_0, q6_K, q5_K, q4_K, q4_0"));
  EXPECT_TRUE(contains(quantize_error("codec=q8_0"), "'codec=q8_0'"));
  EXPECT_TRUE(contains(quantize_error("backbone=q8_0,"), "backbone=TYPE or depth=TYPE"));
  EXPECT_TRUE(contains(quantize_error("backbone=q8_0,q6_K"), "'q6_K'"));
  EXPECT_TRUE(contains(quantize_error("backbone=f16"), "'f16'"));
  EXPECT_TRUE(contains(quantize_error("depth=q8_0,depth=q8_0"), "twice"));
  EXPECT_TRUE(contains(quantize_error("="), "'='"));
}

std::string option_error(const std::function<void(EngineOptions&)>& change) {
  EngineOptions options = options_for("somewhere");
  options.validate();
  change(options);
  return error_of(ErrorCode::kInvalidArgument, [&] { options.validate(); });
}

TEST(EngineOptions, AreChecked) {
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.model = ""; }), "no model"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.n_threads = -1; }), "threads is -1"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.n_threads = 100'000; }), "threads is 100000"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.dtype = "int4"; }), "auto, f32, f16, bf16"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.codec_dtype = "q8_0"; }), "codec dtype is 'q8_0'"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.kv_type = "q4_0"; }), "f32, f16, q8_0"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.quantize = "q2"; }), "quantize is 'q2'"));
  EXPECT_TRUE(contains(option_error([](EngineOptions& o) { o.backend = "cuda9"; }), "backend is 'cuda9'"));
}

std::shared_ptr<const Checkpoint> tiny_checkpoint(const std::string& name) {
  return load_checkpoint(find_model_files(kData + "/ckpt/" + name));
}

// Elements of the tensors of a file but for the codec's and the one that is named.
int64_t count_in_file(const std::string& name, const std::string& left_out) {
  int64_t n = 0;
  for (const TensorInfo& tensor : read_safetensors(kData + "/ckpt/" + name + "/model.safetensors")) {
    if (tensor.name.rfind("codec_model.", 0) != 0 && tensor.name != left_out) n += tensor.n_elements();
  }
  return n;
}

TEST(Dtype, TablesThatAreOneAreCountedOnce) {
  for (const auto& [name, left_out] :
       {std::pair{"csm-tiny-a", ""}, {"csm-tiny-b", ""}, {"csm-tiny-f/hf-f32", kDepthAudioTable}}) {
    EXPECT_EQ(count_language_model_weights(*tiny_checkpoint(name)), count_in_file(name, left_out)) << name;
  }
}

TEST(Dtype, AutoIsF32ForSmallModels) {
  const auto checkpoint = tiny_checkpoint("csm-tiny-f/hf-bf16");
  EngineOptions options = options_for("x");
  options.dtype = "auto";
  options.quantize = "depth=q8_0";
  options.kv_type = "F16";
  const BackendOptions chosen = backend_options(options, *checkpoint);
  EXPECT_EQ(chosen.backbone_type, WeightType::kF32);
  EXPECT_EQ(chosen.depth_type, WeightType::kQ8_0);
  EXPECT_EQ(chosen.codec_type, WeightType::kF32);
  EXPECT_EQ(chosen.kv_type, KvType::kF16);
  EXPECT_EQ(chosen.n_threads, 1);
  options.dtype = "bf16";
  options.codec_dtype = "f16";
  EXPECT_EQ(backend_options(options, *checkpoint).backbone_type, WeightType::kBF16);
  EXPECT_EQ(backend_options(options, *checkpoint).codec_type, WeightType::kF16);
}

std::string request_error(const std::function<void(SpeechRequest&)>& change) {
  SpeechRequest request;
  request.text = "Hello.";
  validate_request(request);
  change(request);
  return error_of(ErrorCode::kInvalidArgument, [&] { validate_request(request); });
}

TEST(Request, TextMustSaySomething) {
  for (const char* blank : {"", " ", "\n\t\r ", "\xC2\xA0\xE2\x80\x83\xE3\x80\x80"}) {
    EXPECT_TRUE(contains(request_error([&](SpeechRequest& r) { r.text = blank; }), "text to speak is empty"));
  }
  EXPECT_TRUE(contains(request_error([](SpeechRequest& r) { r.text = "ab\xFF"; }), "byte 2 (0xFF)"));
  EXPECT_TRUE(contains(request_error([](SpeechRequest& r) { r.text = "\xE2\x80"; }), "byte 0 (0xE2)"));
  SpeechRequest request;
  request.text = " \xC3\xA9 ";
  EXPECT_NO_THROW(validate_request(request));
}

TEST(Request, TurnsAreChecked) {
  const auto with = [](const Turn& turn) {
    return request_error([&](SpeechRequest& r) { r.context = {Turn{0, "fine", {}, {}}, turn}; });
  };
  EXPECT_TRUE(contains(with({0, "\xC0", {}, {}}), "the text of context turn 2"));
  EXPECT_TRUE(contains(with({0, "x", Audio{{0.1f}, 24'000}, Codes{{1, 2}, 2}}), "both audio and codes"));
  EXPECT_TRUE(contains(with({0, "x", Audio{{}, 24'000}, {}}), "turn 2 has no samples"));
  EXPECT_TRUE(contains(with({0, "x", {}, Codes{{}, 2}}), "whole frames"));
  EXPECT_TRUE(contains(with({0, "x", {}, Codes{{1, 2, 3}, 2}}), "3 ids in 2 codebooks"));
  EXPECT_TRUE(contains(with({0, "x", {}, Codes{{1, 2, 3}, 0}}), "whole frames"));
}

TEST(Request, NumbersAreChecked) {
  for (const double seconds :
       {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_TRUE(contains(request_error([&](SpeechRequest& r) { r.max_seconds = seconds; }), "max-seconds"));
  }
  EXPECT_TRUE(contains(request_error([](SpeechRequest& r) { r.min_frames = -1; }), "min-frames"));
  request_error([](SpeechRequest& r) { r.backbone_sampling = greedy(), r.backbone_sampling->top_p = 2; });
  request_error([](SpeechRequest& r) { r.depth_sampling = greedy(), r.depth_sampling->temperature = -1; });
}

// A window of 200 positions at 12.5 frames a second.
ModelSpec small_window() {
  ModelSpec spec;
  spec.max_positions = 200;
  spec.max_new_frames = 125;
  spec.codec.sample_rate_hz = 24'000;
  spec.codec.upsampling_ratios = {8, 6, 5, 4};
  return spec;
}

TEST(FrameLimit, ComesFromTheRequestTheModelOrTheWindow) {
  ModelSpec spec = small_window();
  SpeechRequest request;
  EXPECT_EQ(frame_limit(spec, request, 20, 20), 125) << "the model's own";
  EXPECT_EQ(frame_limit(spec, request, 100, 20), 100) << "shrinks to what the window leaves";
  EXPECT_EQ(frame_limit(spec, request, 187, 20), 13) << "a second is left";
  request.max_seconds = 2;
  EXPECT_EQ(frame_limit(spec, request, 20, 20), 25);
  request.max_seconds = 0.08;
  EXPECT_EQ(frame_limit(spec, request, 20, 20), 1);
  request.max_seconds = 0.001;
  EXPECT_EQ(frame_limit(spec, request, 20, 20), 1) << "never less than a frame";
  request.max_seconds = 0.24;
  EXPECT_EQ(frame_limit(spec, request, 197, 20), 3) << "an explicit limit may be short";
  request.max_seconds.reset();
  spec.max_new_frames = 0;
  EXPECT_EQ(frame_limit(spec, request, 20, 20), 180) << "no limit but the window";
  spec.codec.upsampling_ratios = {2};  // 6,000 frames a second
  EXPECT_EQ(frame_limit(spec, request, 170, 20), 30) << "a second may be longer than the window";
}

TEST(FrameLimit, SaysWhatDoesNotFit) {
  const ModelSpec spec = small_window();
  SpeechRequest request;
  const auto message = [&](int64_t n_prompt, int64_t n_text) {
    return error_of(ErrorCode::kResourceLimit, [&] { frame_limit(spec, request, n_prompt, n_text); });
  };
  const std::string long_text = message(53'000, 52'990);
  EXPECT_TRUE(contains(long_text, "53000 positions (52990 tokens of text, 10 positions of context)")) << long_text;
  EXPECT_TRUE(contains(long_text, "window has 200")) << long_text;
  EXPECT_TRUE(contains(long_text, "shorten the text")) << long_text;
  EXPECT_TRUE(
      contains(message(188, 20), "leaves 12 frames of speech (1.0 s), 13 (1.0 s) are needed; shorten the context"));
  EXPECT_TRUE(contains(message(200, 20), "leaves 0 frames"));
  request.max_seconds = 14.5;
  EXPECT_TRUE(
      contains(message(20, 20),
               "leaves 180 frames of speech (14.4 s), 181 (14.5 s) are needed; shorten the text or lower max-seconds"));
  request.max_seconds = 1e300;
  message(20, 20);
}

TEST(FrameLimit, MinimumMustFitToo) {
  SpeechRequest request;
  request.min_frames = 126;
  const std::string message =
      error_of(ErrorCode::kInvalidArgument, [&] { frame_limit(small_window(), request, 20, 20); });
  EXPECT_TRUE(contains(message, "min-frames is 126, but at most 125")) << message;
  request.min_frames = 125;
  EXPECT_EQ(frame_limit(small_window(), request, 20, 20), 125);
}

}  // namespace
}  // namespace csm::test
