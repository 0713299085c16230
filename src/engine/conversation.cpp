#include "engine/conversation.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/fail.h"
#include "engine/guard.h"
#include "engine/options.h"
#include "engine/sound.h"
#include "engine/stopwatch.h"
#include "model/kv_cache.h"
#include "prompt/context_plan.h"
#include "prompt/prompt.h"

namespace csm {
namespace {

// Room is held free for speech that takes this many times its usual length, and this much longer.
constexpr double kSlowReading = 1.6;
constexpr double kReserveSeconds = 1;

// Positions of "[speaker]text" between its begin and end tokens.
int count_text(const Tokenizer& tokenizer, int speaker, const std::string& text) {
  return static_cast<int>(tokenizer.encode(fmt::format("[{}]{}", speaker, text)).size()) + 2;
}

// Frames of a turn's sound, known before it is encoded.
int count_sound(const CodecSpec& codec, const Turn& turn) {
  if (turn.codes) return turn.codes->n_frames();
  return turn.audio ? static_cast<int>(count_frames(codec, *turn.audio)) : 0;
}

// What is known of a request without encoding anything.
struct RequestPlan {
  std::vector<PlanTurn> turns;
  std::vector<PlannedTurn> plan;
  int window = 0;
  int n_text = 0;
  int n_expected_frames = 0;
  int n_reserved_frames = 0;

  int n_context() const {
    int n = 0;
    for (const PlannedTurn& turn : plan) n += turn.n_positions;
    return n;
  }
};

RequestPlan plan_request(const LoadedModel& model, const SpeechRequest& request) {
  const ModelSpec& spec = model.spec;
  const double rate = spec.codec.frame_rate_hz();
  const Tokenizer& tokenizer = model.need_tokenizer();
  RequestPlan result;
  for (const Turn& turn : request.context) {
    result.turns.push_back({turn.speaker, count_text(tokenizer, turn.speaker, turn.text),
                            count_sound(spec.codec, turn), turn.pinned});
  }
  result.window = window_of(spec, request);
  result.n_text = count_text(tokenizer, request.speaker, request.text);
  const double expected = expected_seconds(request, rate);
  result.n_expected_frames = static_cast<int>(std::ceil(std::min(expected * rate, 1e8)));

  double most = spec.max_new_frames > 0 ? spec.max_new_frames : result.window;
  if (request.max_seconds) most = std::min(std::floor(*request.max_seconds * rate + 1e-9), 1e9);
  const double reserve = std::min(std::ceil((expected * kSlowReading + kReserveSeconds) * rate), most);
  result.n_reserved_frames = std::max({1, static_cast<int>(reserve), std::min(request.min_frames, result.window)});

  const ContextOptions& options = request.context_options;
  PlanBudget budget;
  budget.n_positions = std::max(0, result.window - result.n_text - result.n_reserved_frames);
  budget.next_speaker = request.speaker;
  budget.n_compressed_frames = std::max(1, static_cast<int>(std::lround(options.compressed_seconds * rate)));
  budget.frame_rate_hz = rate;
  result.plan = plan_context(result.turns, budget, options);
  return result;
}

// The codes of a turn that are kept, and how long they took.
Codes kept_codes(LoadedModel& model, const SpeechRequest& request, size_t index, const PlannedTurn& planned,
                 const CancelToken& cancel) {
  const Turn& turn = request.context[index];
  const int n_codebooks = model.spec.n_codebooks;
  Codes codes = turn.codes ? first_codebooks(*turn.codes, n_codebooks, fmt::format("context turn {} has", index + 1))
                           : encode_audio(model, *turn.audio, n_codebooks, cancel);
  if (planned.n_frames >= codes.n_frames()) return codes;
  size_t first = 0;
  if (request.context_options.compression == TurnCompression::kSpan) {
    std::vector<int32_t> semantic;  // the first codebook says what is heard, the others how exactly
    for (size_t i = 0; i < codes.ids.size(); i += static_cast<size_t>(n_codebooks)) semantic.push_back(codes.ids[i]);
    first = static_cast<size_t>(most_varied_span(semantic, planned.n_frames));
  }
  const auto begin = codes.ids.begin() + static_cast<std::ptrdiff_t>(first * static_cast<size_t>(n_codebooks));
  return {std::vector<int32_t>(begin, begin + std::ptrdiff_t{planned.n_frames} * n_codebooks), n_codebooks};
}

}  // namespace

PreparedPrompt prepare_prompt(LoadedModel& model, const SpeechRequest& request, const CancelToken& cancel) {
  validate_request(request);
  model.need_language_model();
  const RequestPlan plan = plan_request(model, request);
  PreparedPrompt prepared;
  prepared.max_frames = frame_limit(model.spec, request, plan.n_context() + plan.n_text, plan.n_text);

  PromptBuilder builder(model.spec, model.need_tokenizer());
  for (size_t i = 0; i < request.context.size(); ++i) {
    const PlannedTurn& planned = plan.plan[i];
    if (planned.fate == TurnFate::kDropped) continue;
    builder.add_text(request.context[i].speaker, request.context[i].text);
    if (planned.n_frames == 0) continue;
    const Stopwatch watch;
    const Codes codes = kept_codes(model, request, i, planned, cancel);
    prepared.context_ms += watch.ms();
    builder.add_audio(codes.ids, codes.n_codebooks);
  }
  builder.add_text(request.speaker, request.text);
  prepared.segment_ends = builder.segment_ends();
  prepared.prompt = builder.take();
  return prepared;
}

ContextReport context_report(const LoadedModel& model, const SpeechRequest& request) {
  validate_request(request);
  model.need_language_model();
  const RequestPlan plan = plan_request(model, request);
  ContextReport report;
  report.strategy = request.context_options.strategy;
  report.window = plan.window;
  report.n_text_positions = plan.n_text;
  report.n_context_positions = plan.n_context();
  report.n_reserved_frames = plan.n_reserved_frames;
  report.n_expected_frames = plan.n_expected_frames;
  report.kv_type = to_string(model.kv_type);
  report.kv_bytes_per_position = kv_cache_bytes(model.spec.backbone, model.kv_type, 1);
  for (size_t i = 0; i < plan.plan.size(); ++i) {
    const PlannedTurn& planned = plan.plan[i];
    TurnReport turn;
    turn.speaker = plan.turns[i].speaker;
    turn.pinned = plan.turns[i].pinned;
    turn.fate = planned.fate;
    turn.n_tokens = plan.turns[i].n_tokens;
    turn.n_frames = plan.turns[i].n_frames;
    turn.n_kept_frames = planned.n_frames;
    turn.n_positions = planned.n_positions;
    turn.kv_bytes = kv_cache_bytes(model.spec.backbone, model.kv_type, planned.n_positions);
    turn.score = planned.score;
    turn.reason = planned.reason;
    report.turns.push_back(std::move(turn));
  }
  return report;
}

}  // namespace csm
