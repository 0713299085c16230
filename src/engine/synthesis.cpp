// text -> tokens -> frames -> codes -> samples. Read synthesize() first: the whole program is there.
#include "engine/synthesis.h"

#include <algorithm>
#include <string>

#include <csm/inspect.h>

#include "base/fail.h"

namespace csm {
namespace {

constexpr int kPrefillRows = 256;      // given to the model at once, between two looks at the cancel token
constexpr int kReservedFrames = 2048;  // the result grows without reallocation up to here

FrameSampling choose_sampling(const ModelSpec& spec, const SpeechRequest& request) {
  return {request.backbone_sampling.value_or(spec.backbone_sampling),
          request.depth_sampling.value_or(spec.depth_sampling)};
}

}  // namespace

SpeechResult synthesize(LoadedModel& model, const SpeechRequest& request, const Stopwatch& since,
                        const CancelToken& cancel, const FrameSink& on_frame) {
  Utterance utterance(model, request, since, cancel);
  while (utterance.going()) {
    FrameRequest frame = utterance.begin_frame();
    model.language_model->next_frames({&frame, 1});
    const std::span<const float> samples = utterance.end_frame();
    if (on_frame && !samples.empty() && !on_frame(utterance.so_far(), samples)) utterance.cancel();
  }
  return utterance.finish();
}

std::vector<SpeechResult> synthesize_batch(LoadedModel& model, const std::vector<SpeechRequest>& requests) {
  const Stopwatch since;
  std::vector<std::unique_ptr<Utterance>> utterances;
  for (size_t i = 0; i < requests.size(); ++i) {
    try {
      utterances.push_back(std::make_unique<Utterance>(model, requests[i], since, CancelToken()));
    } catch (const Error& error) {
      fail(error.code(), "request {} of {}: {}", i + 1, requests.size(), error.what());
    }
  }
  std::vector<Utterance*> going;
  std::vector<FrameRequest> frames;
  for (;;) {
    going.clear();
    frames.clear();
    for (const auto& utterance : utterances) {
      if (!utterance->going()) continue;
      going.push_back(utterance.get());
      frames.push_back(utterance->begin_frame());
    }
    if (frames.empty()) break;
    model.language_model->next_frames(frames);
    for (Utterance* utterance : going) utterance->end_frame();
  }
  std::vector<SpeechResult> results;
  for (const auto& utterance : utterances) results.push_back(utterance->finish());
  return results;
}

Utterance::Utterance(LoadedModel& model, const SpeechRequest& request, const Stopwatch& since,
                     const CancelToken& cancel)
    : model_(model),
      since_(since),
      cancel_(cancel),
      sampling_(choose_sampling(model.spec, request)),
      min_frames_(request.min_frames) {
  result_.audio.sample_rate_hz = model.spec.codec.sample_rate_hz;
  result_.codes.n_codebooks = model.n_codebooks();
  result_.stats.seed = request.seed;
  result_.stats.n_threads = model.n_threads;
  try {
    const PreparedPrompt prepared = prepare_prompt(model, request, cancel);
    result_.stats.n_prompt_positions = prepared.prompt.n_positions();
    result_.stats.context_ms = prepared.context_ms;
    max_frames_ = prepared.max_frames;
    prefill(prepared.prompt);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    stop(FinishReason::kCancelled);
  }
}

void Utterance::prefill(const Prompt& prompt) {
  const Stopwatch watch;
  const auto n_codebooks = static_cast<size_t>(model_.n_codebooks());
  sequence_ = model_.language_model->new_sequence(prompt.n_positions() + max_frames_);
  append_prompt(*model_.language_model, *sequence_, prompt, cancel_);
  result_.stats.prefill_ms = watch.ms();

  decoder_ = model_.codec->new_decoder();
  row_.assign(n_codebooks + 1, 0);
  row_mask_.assign(n_codebooks + 1, 1);
  row_mask_.back() = 0;
  const auto n_reserved = static_cast<size_t>(std::min(max_frames_, kReservedFrames));
  result_.codes.ids.reserve(n_reserved * n_codebooks);
  result_.audio.samples.reserve(n_reserved * static_cast<size_t>(model_.spec.codec.frame_samples()));
}

FrameRequest Utterance::begin_frame() {
  if (frame_waits_) {
    model_.language_model->append(*sequence_, {row_, row_mask_, static_cast<int>(row_.size())});
    frame_waits_ = false;
  }
  FrameRequest frame;
  frame.sequence = sequence_.get();
  frame.sampling = &sampling_;
  // The same noise alone and in a batch: the stream number tells apart what one request would make several of.
  frame.noise = {result_.stats.seed, 0, static_cast<uint32_t>(result_.stats.n_frames)};
  frame.history = result_.codes.ids;
  frame.suppress_end = result_.stats.n_frames < min_frames_;
  frame.out = std::span(row_).first(row_.size() - 1);
  return frame;
}

std::span<const float> Utterance::end_frame() {
  const std::span<const int32_t> codes = std::span(row_).first(row_.size() - 1);
  // Zero in all codebooks; zero in all but one is speech like any other.
  if (std::all_of(codes.begin(), codes.end(), [](int32_t code) { return code == 0; })) {
    stop(FinishReason::kEnd);
    return {};
  }
  const size_t n_before = result_.audio.samples.size();
  decoder_->push(codes, static_cast<int>(codes.size()), result_.audio.samples);
  result_.codes.ids.insert(result_.codes.ids.end(), codes.begin(), codes.end());
  frame_waits_ = true;
  ++result_.stats.n_frames;
  if (result_.stats.n_frames == 1) result_.stats.first_audio_ms = since_.ms();
  if (cancel_.cancelled()) {
    stop(FinishReason::kCancelled);
  } else if (result_.stats.n_frames >= max_frames_) {
    stop(FinishReason::kMaxLength);
  }
  update_stats();
  return std::span<const float>(result_.audio.samples).subspan(n_before);
}

void Utterance::cancel() {
  if (going_) stop(FinishReason::kCancelled);
}

void Utterance::stop(FinishReason reason) {
  going_ = false;
  result_.stats.finish_reason = reason;
}

void Utterance::update_stats() {
  SpeechStats& stats = result_.stats;
  stats.audio_seconds = result_.audio.seconds();
  stats.total_ms = since_.ms();
  stats.real_time_factor = stats.audio_seconds > 0 ? stats.total_ms / 1000 / stats.audio_seconds : 0;
}

SpeechResult Utterance::finish() {
  update_stats();
  result_.stats.peak_memory_bytes = peak_memory_bytes();
  return std::move(result_);
}

void append_prompt(LanguageModel& model, Sequence& sequence, const Prompt& prompt, const CancelToken& cancel) {
  const auto n_columns = static_cast<size_t>(prompt.n_columns);
  for (int begin = 0; begin < prompt.n_positions(); begin += kPrefillRows) {
    if (cancel.cancelled()) fail(ErrorCode::kCancelled, "cancelled");
    const auto n_rows = static_cast<size_t>(std::min(kPrefillRows, prompt.n_positions() - begin));
    const size_t first = static_cast<size_t>(begin) * n_columns;
    model.append(sequence, {std::span(prompt.frames).subspan(first, n_rows * n_columns),
                            std::span(prompt.mask).subspan(first, n_rows * n_columns), prompt.n_columns});
  }
}

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEnd:
      return "end";
    case FinishReason::kMaxLength:
      return "max_length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace csm
