// text -> tokens -> frames -> codes -> samples. Read synthesize() first: the whole program is there.
#include "engine/synthesis.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <csm/inspect.h>

#include "base/fail.h"
#include "engine/options.h"

namespace csm {
namespace {

constexpr int kPrefillRows = 256;      // given to the model at once, between two looks at the cancel token
constexpr int kWaitingFrames = 16;     // frames that the guard usually holds back at most
constexpr int kReservedFrames = 2048;  // the result grows without reallocation up to here

// Nothing else looks at the request before this has.
FrameSampling choose_sampling(const ModelSpec& spec, const SpeechRequest& request) {
  validate_request(request);
  FrameSampling sampling = {request.backbone_sampling.value_or(spec.backbone_sampling),
                            request.depth_sampling.value_or(spec.depth_sampling)};
  check_sampling(sampling.backbone, "backbone sampling", spec.n_codebooks, spec.audio_vocab);
  check_sampling(sampling.depth, "depth sampling", spec.n_codebooks, spec.audio_vocab);
  return sampling;
}

std::chrono::steady_clock::time_point deadline_of(const Stopwatch& since, double seconds) {
  return since.start() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
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

std::vector<SpeechResult> synthesize_batch(LoadedModel& model, const std::vector<SpeechRequest>& requests,
                                           const BatchFrameSink& on_frame) {
  const Stopwatch since;
  std::vector<std::unique_ptr<Utterance>> utterances;
  for (size_t i = 0; i < requests.size(); ++i) {
    try {
      utterances.push_back(std::make_unique<Utterance>(model, requests[i], since, CancelToken()));
    } catch (const Error& error) {
      fail(error.code(), "request {} of {}: {}", i + 1, requests.size(), error.what());
    }
  }
  std::vector<size_t> going;
  std::vector<FrameRequest> frames;
  for (;;) {
    going.clear();
    frames.clear();
    for (size_t i = 0; i < utterances.size(); ++i) {
      if (!utterances[i]->going()) continue;
      going.push_back(i);
      frames.push_back(utterances[i]->begin_frame());
    }
    if (frames.empty()) break;
    model.language_model->next_frames(frames);
    for (const size_t i : going) {
      Utterance& utterance = *utterances[i];
      try {
        const std::span<const float> samples = utterance.end_frame();
        if (on_frame && !samples.empty() && !on_frame(i, utterance.so_far(), samples)) utterance.cancel();
      } catch (const Error& error) {
        fail(error.code(), "request {} of {}: {}", i + 1, requests.size(), error.what());
      }
    }
  }
  std::vector<SpeechResult> results;
  for (const auto& utterance : utterances) results.push_back(utterance->finish());
  return results;
}

Utterance::Utterance(LoadedModel& model, const SpeechRequest& request, const Stopwatch& since,
                     const CancelToken& cancel)
    : model_(model),
      since_(since),
      cancel_(request.deadline_seconds ? cancel.until(deadline_of(since, *request.deadline_seconds)) : cancel),
      sampling_(choose_sampling(model.spec, request)),
      min_frames_(request.min_frames),
      stop_bias_(request.stop_bias),
      guard_(request.guard, expected_seconds(request, model.spec.codec.frame_rate_hz()),
             model.spec.codec.frame_rate_hz(), request.min_frames),
      trim_(request.trim, model.spec.codec.sample_rate_hz),
      policy_(request.guard.policy),
      retries_left_(request.guard.policy == GuardPolicy::kRetry ? request.guard.max_retries : 0),
      is_limit_asked_for_(request.max_seconds.has_value()),
      mark_(request.watermark, model.spec.codec.sample_rate_hz) {
  result_.audio.sample_rate_hz = model.spec.codec.sample_rate_hz;
  result_.codes.n_codebooks = model.n_codebooks();
  result_.stats.seed = request.seed;
  result_.stats.n_threads = model.n_threads;
  result_.stats.expected_seconds = expected_seconds(request, model.spec.codec.frame_rate_hz());
  try {
    const PreparedPrompt prepared = prepare_prompt(model, request, cancel_);
    result_.stats.n_prompt_positions = prepared.prompt.n_positions();
    result_.stats.context_ms = prepared.context_ms;
    max_frames_ = prepared.max_frames;
    prefill(prepared);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    stop(cancel_reason());
  }
}

FinishReason Utterance::cancel_reason() const {
  return cancel_.expired() ? FinishReason::kDeadline : FinishReason::kCancelled;
}

void Utterance::prefill(const PreparedPrompt& prepared) {
  const Stopwatch watch;
  const auto n_codebooks = static_cast<size_t>(model_.n_codebooks());
  prefilled_ = model_.prefixes->prefill(prepared.prompt, prepared.segment_ends,
                                        prepared.prompt.n_positions() + max_frames_, cancel_);
  result_.stats.n_reused_positions = prefilled_.n_reused();
  result_.stats.prefill_ms = watch.ms();

  decoder_ = model_.codec->new_decoder();
  row_.assign(n_codebooks + 1, 0);
  row_mask_.assign(n_codebooks + 1, 1);
  row_mask_.back() = 0;
  const auto n_reserved = static_cast<size_t>(std::min(max_frames_, kReservedFrames));
  result_.codes.ids.reserve(n_reserved * n_codebooks);
  result_.audio.samples.reserve(n_reserved * static_cast<size_t>(model_.spec.codec.frame_samples()));
  waiting_.reserve(kWaitingFrames * static_cast<size_t>(model_.spec.codec.frame_samples()));
}

FrameRequest Utterance::begin_frame() {
  if (frame_waits_) {
    model_.language_model->append(*prefilled_.sequence(), {row_, row_mask_, static_cast<int>(row_.size())});
    frame_waits_ = false;
  }
  FrameRequest frame;
  frame.sequence = prefilled_.sequence();
  frame.sampling = &sampling_;
  // The same noise alone and in a batch: the stream number tells apart the attempts of one request.
  const auto stream = static_cast<uint32_t>(result_.stats.n_attempts - 1);
  frame.noise = {result_.stats.seed, stream, static_cast<uint32_t>(result_.stats.n_frames)};
  frame.history = result_.codes.ids;
  frame.suppress_end = result_.stats.n_frames < min_frames_;
  frame.stop_bias = stop_bias_;
  frame.out = std::span(row_).first(row_.size() - 1);
  return frame;
}

std::span<const float> Utterance::end_frame() {
  const std::span<const int32_t> codes = std::span(row_).first(row_.size() - 1);
  const size_t n_before = result_.audio.samples.size();
  // Zero in all codebooks; zero in all but one is speech like any other.
  if (std::all_of(codes.begin(), codes.end(), [](int32_t code) { return code == 0; })) {
    stop(FinishReason::kEnd);
  } else {
    decode(codes);
    if (cancel_.cancelled()) {
      stop(cancel_reason());
    } else if (const std::optional<FinishReason> reason = judge_frame(codes)) {
      run_away(*reason);
    } else if (result_.stats.n_frames >= max_frames_) {
      stop(FinishReason::kMaxLength);
    } else {
      release(guard_.n_safe());
    }
  }
  update_stats();
  return std::span<const float>(result_.audio.samples).subspan(std::min(n_before, result_.audio.samples.size()));
}

void Utterance::decode(std::span<const int32_t> codes) {
  decoder_->push(codes, static_cast<int>(codes.size()), waiting_);
  result_.codes.ids.insert(result_.codes.ids.end(), codes.begin(), codes.end());
  frame_waits_ = true;
  ++result_.stats.n_frames;
  if (result_.stats.n_frames == 1 && result_.stats.n_attempts == 1) result_.stats.first_audio_ms = since_.ms();
}

// What the guard says of the newest frame. A limit that nobody asked for is a missing end too.
std::optional<FinishReason> Utterance::judge_frame(std::span<const int32_t> codes) {
  const auto frame_samples = static_cast<size_t>(model_.spec.codec.frame_samples());
  std::optional<FinishReason> reason = guard_.push(codes, std::span<const float>(waiting_).last(frame_samples));
  const bool is_missing_end = result_.stats.n_frames >= max_frames_ && !is_limit_asked_for_;
  if (!reason && is_missing_end && policy_ != GuardPolicy::kOff) reason = FinishReason::kMaxLength;
  return reason;
}

void Utterance::run_away(FinishReason reason) {
  SpeechStats& stats = result_.stats;
  const double frame_seconds = 1 / model_.spec.codec.frame_rate_hz();
  GuardFinding finding = {stats.n_attempts, reason, stats.n_frames * frame_seconds, 0,
                          guard_.period_frames() * frame_seconds};
  settle(reason);
  const int pause = guard_.pause_frame();
  if (reason == FinishReason::kMaxLength && policy_ == GuardPolicy::kRetry && pause > 0) cut_back(pause);
  finding.kept_seconds = stats.n_frames * frame_seconds;
  stats.findings.push_back(finding);
  if (policy_ == GuardPolicy::kFail) {
    fail(ErrorCode::kInvalidData,
         "the speech ran away ({}): {:.1f} s came of a text that should take {:.1f} s, {:.1f} s of them good; try another "
         "seed, a lower temperature, or the guard's policy retry",
         to_string(reason), finding.at_seconds, stats.expected_seconds, finding.kept_seconds);
  }
  if (policy_ == GuardPolicy::kRetry) keep_best();
  if (retries_left_-- > 0) {
    restart();
    return;
  }
  if (policy_ == GuardPolicy::kRetry) std::swap(result_, best_);
  going_ = false;
  prefilled_.give_back();
}

// Ends the attempt after fewer frames than were released. Only whole results can: what a stream gave is heard.
void Utterance::cut_back(int n_frames) {
  const auto n_codes = static_cast<size_t>(n_frames) * static_cast<size_t>(result_.codes.n_codebooks);
  result_.codes.ids.resize(n_codes);
  result_.stats.n_frames = n_frames;
  result_.audio.samples.clear();
  waiting_.clear();
  n_released_ = 0;
  trim_.restart();
  model_.codec->new_decoder()->push(result_.codes.ids, result_.codes.n_codebooks, waiting_);
  release(n_frames);
  trim_.finish(result_.audio.samples);
}

// Of two attempts that ran away, the one whose length is nearer to what the text should take is the better one.
void Utterance::keep_best() {
  const double frame_seconds = 1 / model_.spec.codec.frame_rate_hz();
  const auto distance = [&](const SpeechResult& result) {
    return std::abs(result.stats.n_frames * frame_seconds - result.stats.expected_seconds);
  };
  if (best_.codes.ids.empty() || distance(result_) < distance(best_)) {
    best_ = result_;
    return;
  }
  best_.stats.n_attempts = result_.stats.n_attempts;
  best_.stats.findings = result_.stats.findings;
}

// The next attempt, from the prompt on.
void Utterance::restart() {
  prefilled_.rewind();
  decoder_ = model_.codec->new_decoder();
  guard_.restart();
  trim_.restart();
  waiting_.clear();
  n_released_ = 0;
  result_.codes.ids.clear();
  result_.audio.samples.clear();
  result_.stats.n_frames = 0;
  ++result_.stats.n_attempts;
  frame_waits_ = false;
}

// Moves the samples of the frames up to there into the result.
void Utterance::release(int n_frames) {
  const auto n = static_cast<size_t>(n_frames - n_released_) * static_cast<size_t>(model_.spec.codec.frame_samples());
  unmarked_.clear();
  trim_.push(std::span<const float>(waiting_).first(n), unmarked_);
  mark_.push(unmarked_.data(), unmarked_.size(), result_.audio.samples);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
  n_released_ = n_frames;
}

void Utterance::cancel() {
  if (going_) stop(FinishReason::kCancelled);
}

void Utterance::stop(FinishReason reason) {
  going_ = false;
  prefilled_.give_back();
  settle(reason);
}

// What the attempt gave. The guard's findings leave out what it holds to be no speech; every other end keeps all there is.
void Utterance::settle(FinishReason reason) {
  result_.stats.finish_reason = reason;
  const bool is_cut = reason == FinishReason::kLoop || reason == FinishReason::kSilence;
  const int n_kept = is_cut ? guard_.n_safe() : result_.stats.n_frames;
  release(n_kept);
  unmarked_.clear();
  trim_.finish(unmarked_);
  mark_.push(unmarked_.data(), unmarked_.size(), result_.audio.samples);
  mark_.finish(result_.audio.samples);
  result_.stats.watermark = mark_.stats();
  result_.stats.n_frames = n_kept;
  result_.codes.ids.resize(static_cast<size_t>(n_kept) * static_cast<size_t>(result_.codes.n_codebooks));
}

void Utterance::update_stats() {
  SpeechStats& stats = result_.stats;
  if (going_) stats.watermark = mark_.stats();
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
    case FinishReason::kLoop:
      return "loop";
    case FinishReason::kSilence:
      return "silence";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kDeadline:
      return "deadline";
  }
  return "unknown";
}

}  // namespace csm
