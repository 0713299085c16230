// Long conversations stay inside the window, whatever the strategy; limits of memory decide window and types.
#include "engine/memory_plan.h"
#include "engine_test.h"
#include "model/kv_cache.h"

namespace csm::test {
namespace {

constexpr int kWindow = 110;

SpeechRequest turn_request(int i) {
  SpeechRequest request;
  request.speaker = i % 2;
  request.text = i % 3 == 0 ? "It is a long way to the sea." : "Yes.";
  request.seed = static_cast<uint64_t>(i);
  request.max_seconds = i % 3 == 0 ? 0.8 : 0.56;
  request.min_frames = 6;
  return request;
}

ConversationOptions options_of(ContextStrategy strategy, TurnCompression compression) {
  ConversationOptions options;
  options.context.strategy = strategy;
  options.context.compression = compression;
  options.context.compressed_seconds = 0.5;
  options.context.max_positions = kWindow;
  return options;
}

void expect_whole_turns(const ContextReport& report, const Conversation& conversation, const Prompt& prompt) {
  ASSERT_EQ(report.turns.size(), conversation.turns().size());
  int n_positions = 0;
  for (size_t i = 0; i < report.turns.size(); ++i) {
    const TurnReport& turn = report.turns[i];
    const bool is_whole = turn.n_kept_frames == conversation.turns()[i].codes.n_frames();
    if (turn.fate == TurnFate::kWhole) EXPECT_TRUE(is_whole) << "turn " << i << " was cut";
    if (turn.fate == TurnFate::kDropped) EXPECT_EQ(turn.n_positions, 0);
    if (turn.fate == TurnFate::kCompressed) EXPECT_NE(conversation.options().context.compression, TurnCompression::kNone);
    EXPECT_EQ(turn.kv_bytes, report.kv_bytes_per_position * static_cast<uint64_t>(turn.n_positions));
    n_positions += turn.n_positions;
  }
  EXPECT_EQ(report.n_context_positions, n_positions);
  EXPECT_EQ(report.n_used_positions(), prompt.n_positions()) << "the account is of the prompt";
  EXPECT_LE(report.n_used_positions() + report.n_reserved_frames, kWindow);
}

TEST(Context, TenTurnsStayInsideTheWindow) {
  const auto engine = open_demo();
  for (const ContextStrategy strategy : {ContextStrategy::kRecency, ContextStrategy::kImportance, ContextStrategy::kHybrid}) {
    for (const TurnCompression compression :
         {TurnCompression::kNone, TurnCompression::kHead, TurnCompression::kSpan, TurnCompression::kText}) {
      if (compression != TurnCompression::kNone && strategy != ContextStrategy::kHybrid) continue;  // once is enough
      SCOPED_TRACE(std::string(to_string(strategy)) + " " + to_string(compression));
      Conversation conversation(engine, options_of(strategy, compression));
      int n_left_out = 0;
      for (int i = 0; i < 10; ++i) {
        const SpeechRequest request = turn_request(i);
        const ContextReport report = conversation.context_report(request);
        expect_whole_turns(report, conversation, conversation.prompt(request));
        n_left_out = 0;
        for (const TurnReport& turn : report.turns) n_left_out += turn.fate == TurnFate::kWhole ? 0 : 1;
        const SpeechResult result = conversation.say(request, {});
        EXPECT_LE(result.stats.n_prompt_positions + result.codes.n_frames(), kWindow);
        EXPECT_GE(result.codes.n_frames(), 6) << "there is room to speak";
      }
      EXPECT_GT(n_left_out, 0) << "ten turns are too many";
      EXPECT_EQ(conversation.turns().size(), 10U) << "what is not context is still remembered";
    }
  }
}

TEST(Context, WithoutAStrategyTheErrorSaysHowMuchTooLongItIs) {
  Conversation conversation(open_demo(), options_of(ContextStrategy::kNone, TurnCompression::kNone));
  std::string message;
  for (int i = 0; i < 10 && message.empty(); ++i) {
    try {
      conversation.say(turn_request(i), {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResourceLimit);
      message = error.what();
    }
  }
  EXPECT_TRUE(contains(message, "window has 110")) << message;
  EXPECT_GE(conversation.turns().size(), 2U);
  EXPECT_NO_THROW((void)conversation.context_report(turn_request(9)));
}

TEST(Context, CompressedTurnsKeepTheAskedForPart) {
  const auto engine = open_demo();
  SpeechRequest request = turn_request(0);
  const Codes codes = engine->encode(golden_clip("three_s"), 0);
  for (int i = 0; i < 4; ++i) request.context.push_back({i % 2, "One two three.", std::nullopt, codes});
  request.context_options = options_of(ContextStrategy::kRecency, TurnCompression::kHead).context;
  request.context_options.max_positions = codes.n_frames() * 2 + 110;
  const ContextReport report = engine->context_report(request);
  ASSERT_EQ(report.turns[0].fate, TurnFate::kCompressed) << report.turns[0].reason;
  const int n_kept = report.turns[0].n_kept_frames;
  EXPECT_EQ(n_kept, 6) << "half a second";
  const Prompt prompt = engine->prompt(request);
  EXPECT_EQ(prompt.n_positions(), report.n_used_positions());
  const auto first = static_cast<size_t>(report.turns[0].n_tokens);
  for (int frame = 0; frame < n_kept; ++frame) {
    for (int codebook = 0; codebook < codes.n_codebooks; ++codebook) {
      EXPECT_EQ(prompt.frames[(first + static_cast<size_t>(frame)) * 9 + static_cast<size_t>(codebook)],
                codes.ids[static_cast<size_t>(frame * codes.n_codebooks + codebook)]);
    }
  }
}

TEST(Context, PinnedTurnsStayOrTheErrorSaysSo) {
  Conversation conversation(open_demo(), options_of(ContextStrategy::kRecency, TurnCompression::kNone));
  conversation.say(turn_request(0), {});
  conversation.set_pinned(0, true);
  for (int i = 1; i < 8; ++i) conversation.say(turn_request(i), {});
  const ContextReport report = conversation.context_report(turn_request(8));
  EXPECT_EQ(report.turns[0].fate, TurnFate::kWhole);
  EXPECT_EQ(report.turns[1].fate, TurnFate::kDropped);
  for (size_t i = 1; i < 8; ++i) conversation.set_pinned(i, true);
  EXPECT_TRUE(contains(error_of(ErrorCode::kResourceLimit, [&] { conversation.say(turn_request(8), {}); }), "pinned turns take"));
  EXPECT_EQ(conversation.turns().size(), 8U);
}

TEST(MemoryLimit, ChoosesTypeAndWindow) {
  ModelSpec spec;
  spec.max_positions = 2048;
  spec.backbone.n_layers = 16;
  spec.backbone.n_kv_heads = 8;
  spec.backbone.head_dim = 64;
  const uint64_t f32 = kv_sequence_bytes(spec.backbone, KvType::kF32, 2048);
  EXPECT_EQ(f32, uint64_t{2} * 16 * 8 * 64 * 2048 * 4);
  EXPECT_EQ(possible_kv_types(spec, "ggml"), (std::vector<KvType>{KvType::kF32, KvType::kF16, KvType::kQ8_0}));
  EXPECT_EQ(possible_kv_types(spec, "mlx").size(), 2U);
  spec.backbone.head_dim = 24;
  EXPECT_EQ(possible_kv_types(spec, "ggml").size(), 2U);
  spec.backbone.head_dim = 64;
  const std::vector<KvType> types = possible_kv_types(spec, "ggml");
  constexpr uint64_t kWeights = 2'000'000'000;
  KvType last = KvType::kF32;
  int last_positions = 2048;
  for (uint64_t more = 300'000'000; more >= 80'000'000; more -= 5'000'000) {
    const MemoryPlan plan = plan_memory(spec, kWeights, kWeights + more, types);
    EXPECT_GE(static_cast<int>(plan.kv_type), static_cast<int>(last)) << "less memory, no wider type";
    EXPECT_LE(plan.max_positions, last_positions);
    EXPECT_LE(kv_sequence_bytes(spec.backbone, plan.kv_type, plan.max_positions), plan.kv_bytes);
    last = plan.kv_type;
    last_positions = plan.max_positions;
  }
  EXPECT_EQ(last, KvType::kQ8_0);
  EXPECT_LT(last_positions, 2048);
  const std::string message = error_of(ErrorCode::kResourceLimit, [&] { (void)plan_memory(spec, kWeights, kWeights, types); });
  EXPECT_TRUE(contains(message, "needs at least 2068.5 MB")) << message;
}

TEST(MemoryLimit, ShortensTheWindowOfAnEngine) {
  EngineOptions options = options_for(std::string(CSM_MODELS_DIR) + "/demo");
  options.backend = "ggml";
  options.memory_limit_bytes = 50'000'000;
  const std::string message = error_of(ErrorCode::kResourceLimit, [&] { Engine::open(options); });
  const std::string lead = "needs at least ";
  ASSERT_TRUE(contains(message, lead)) << message;
  const double least_mb = std::stod(message.substr(message.find(lead) + lead.size()));
  options.memory_limit_bytes = static_cast<uint64_t>((least_mb + 0.1) * 1e6);
  const auto engine = Engine::open(options);
  ASSERT_EQ(engine->notes().size(), 1U);
  EXPECT_TRUE(contains(engine->notes()[0], "memory limit ")) << engine->notes()[0];
  const ContextReport report = engine->context_report(turn_request(0));
  EXPECT_LT(report.window, 2048) << engine->notes()[0];
  EXPECT_EQ(report.window % kKvStepPositions, 0);
  EXPECT_EQ(report.kv_type, "q8_0");
  SpeechRequest request = turn_request(0);
  request.max_seconds = 163;
  EXPECT_TRUE(contains(error_of(ErrorCode::kResourceLimit, [&] { engine->synthesize(request, {}); }), "window has"));
  EXPECT_GE(engine->synthesize(turn_request(0), {}).codes.n_frames(), 6);
  options.kv_type = "f32";
  options.memory_limit_bytes += 3'000'000;
  EXPECT_EQ(Engine::open(options)->context_report(turn_request(0)).kv_type, "f32") << "what was named stays";
}

}  // namespace
}  // namespace csm::test
