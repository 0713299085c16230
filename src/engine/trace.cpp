// Logits along a path of codes, given or greedy: the prompt, prefill and frames of synthesis.cpp, observed.
#include <algorithm>
#include <string>

#include "base/fail.h"
#include "engine/synthesis.h"

namespace csm {
namespace {

constexpr int kReservedFrames = 256;

class Recorder : public LogitsTap {
 public:
  explicit Recorder(Trace& trace) : trace_(trace) {}
  void on_logits(int, std::span<const float> logits) override {
    trace_.logits.insert(trace_.logits.end(), logits.begin(), logits.end());
  }
  void on_hidden(std::span<const float> hidden) override {
    trace_.hidden.insert(trace_.hidden.end(), hidden.begin(), hidden.end());
  }

 private:
  Trace& trace_;
};

void check_shapes(const ModelSpec& spec, const TraceRequest& request) {
  const Prompt& prompt = request.prompt;
  const auto n_columns = static_cast<size_t>(spec.n_codebooks) + 1;
  if (prompt.n_columns != spec.n_codebooks + 1) {
    fail(ErrorCode::kInvalidArgument,
         "the prompt has {} columns; this model has {} codebooks and one column of text, {} in all", prompt.n_columns,
         spec.n_codebooks, n_columns);
  }
  if (prompt.frames.empty() || prompt.frames.size() % n_columns != 0 || prompt.mask.size() != prompt.frames.size()) {
    fail(ErrorCode::kInvalidArgument,
         "the prompt has {} ids and {} mask values; expected whole rows of {} in both, at least one",
         prompt.frames.size(), prompt.mask.size(), n_columns);
  }
  if (!request.forced) {
    if (request.max_frames < 1) {
      fail(ErrorCode::kInvalidArgument, "{} greedy frames asked for; expected at least 1", request.max_frames);
    }
    return;
  }
  const Codes& forced = *request.forced;
  if (forced.n_codebooks != spec.n_codebooks || forced.ids.empty() ||
      forced.ids.size() % static_cast<size_t>(spec.n_codebooks) != 0) {
    fail(ErrorCode::kInvalidArgument,
         "the forced codes have {} ids in {} codebooks; expected whole frames of {}, at least one", forced.ids.size(),
         forced.n_codebooks, spec.n_codebooks);
  }
  const auto bad =
      std::find_if(forced.ids.begin(), forced.ids.end(), [&](int32_t id) { return id < 0 || id >= spec.audio_vocab; });
  if (bad != forced.ids.end()) {
    fail(ErrorCode::kInvalidArgument, "the forced codes contain {}; this model has codes 0 to {}", *bad,
         spec.audio_vocab - 1);
  }
}

// Frames to run at most, checked against the window.
int count_frames(const ModelSpec& spec, const TraceRequest& request) {
  const int n_frames = request.forced ? request.forced->n_frames() : request.max_frames;
  const int n_positions = request.prompt.n_positions();
  if (n_frames > spec.max_positions - n_positions) {
    fail(ErrorCode::kResourceLimit,
         "{} positions of prompt and {} frames do not fit the model's window of {}; ask for fewer frames", n_positions,
         n_frames, spec.max_positions);
  }
  return n_frames;
}

}  // namespace

Trace trace_logits(LoadedModel& model, const TraceRequest& request) {
  LanguageModel& language_model = model.need_language_model();
  const ModelSpec& spec = model.spec;
  check_shapes(spec, request);
  const int n_frames = count_frames(spec, request);
  const auto n_codebooks = static_cast<size_t>(spec.n_codebooks);

  Trace trace;
  trace.codes.n_codebooks = spec.n_codebooks;
  trace.audio_vocab = spec.audio_vocab;
  trace.backbone_width = spec.backbone.width;
  trace.logits.reserve(static_cast<size_t>(std::min(n_frames, kReservedFrames)) * n_codebooks *
                       static_cast<size_t>(spec.audio_vocab));
  Recorder recorder(trace);

  FrameSampling greedy;
  greedy.backbone.temperature = greedy.depth.temperature = 0;
  greedy.backbone.top_k = greedy.depth.top_k = 0;
  std::vector<int32_t> row(n_codebooks + 1, 0);
  std::vector<uint8_t> row_mask(n_codebooks + 1, 1);
  row_mask.back() = 0;
  const std::span<int32_t> codes = std::span(row).first(n_codebooks);

  const auto sequence = language_model.new_sequence(request.prompt.n_positions() + n_frames);
  append_prompt(language_model, *sequence, request.prompt, CancelToken());
  for (int n = 0; n < n_frames; ++n) {
    if (n > 0) language_model.append(*sequence, {row, row_mask, static_cast<int>(row.size())});
    FrameRequest frame;
    frame.sequence = sequence.get();
    frame.sampling = &greedy;
    frame.noise = {0, 0, static_cast<uint32_t>(n)};
    frame.history = trace.codes.ids;
    if (request.forced) {
      frame.forced = std::span(request.forced->ids).subspan(static_cast<size_t>(n) * n_codebooks, n_codebooks);
    }
    frame.tap = &recorder;
    frame.out = codes;
    language_model.next_frames({&frame, 1});
    trace.codes.ids.insert(trace.codes.ids.end(), codes.begin(), codes.end());
    const bool ended = std::all_of(codes.begin(), codes.end(), [](int32_t code) { return code == 0; });
    if (ended && !request.forced) break;
  }
  return trace;
}

}  // namespace csm
