// What is asked for and what comes back: turns, sampling, requests, statistics. Plain values, standard types only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <csm/audio.h>
#include <csm/context.h>
#include <csm/watermark.h>

namespace csm {

// Codec codes of one stretch of sound, one row per 80 ms frame (for 24 kHz Mimi).
struct Codes {
  std::vector<int32_t> ids;  // [n_frames, n_codebooks], row-major
  int n_codebooks = 0;

  int n_frames() const { return n_codebooks > 0 ? static_cast<int>(ids.size()) / n_codebooks : 0; }
};

// One turn of the conversation so far. The voice of CSM comes from here: a turn whose speaker equals the request's
// speaker, with its text and its audio, fixes how the next turn sounds. Give either audio or codes, or neither.
struct Turn {
  int speaker = 0;
  std::string text;
  std::optional<Audio> audio;  // any rate; resampled and encoded by the codec
  std::optional<Codes> codes;  // already encoded
  bool pinned = false;         // kept before all others when not all turns fit
};

// A number added to the logit of one id. -infinity forbids the id.
struct LogitBias {
  static constexpr int kAllCodebooks = -1;

  int id = 0;
  float value = 0;
  int codebook = kAllCodebooks;  // of those that the options are for
};

// What a setting is at one codebook.
struct SchedulePoint {
  int codebook = 0;
  float value = 0;
};

// A setting that changes from codebook to codebook: values at some of them, by rising codebook; linear between two, and
// constant before the first and after the last. Empty: no schedule, the plain setting holds everywhere.
using Schedule = std::vector<SchedulePoint>;

// How one code is drawn from its logits. Every filter is neutral at its default. Order: logit and stop bias, penalties,
// minimum length, masked ids, temperature, top-k (ties with the k-th are all kept), top-p, min-p, then Gumbel-max.
struct SamplingOptions {
  float temperature = 0.9f;         // > 0; 0 means greedy
  int top_k = 50;                   // 0 = off
  float top_p = 1.0f;               // (0, 1]; 1 = off
  float min_p = 0.0f;               // [0, 1); 0 = off
  float repetition_penalty = 1.0f;  // > 0; 1 = off
  float frequency_penalty = 0.0f;   // subtracted once per earlier use
  float presence_penalty = 0.0f;    // subtracted once if used at all
  int penalty_window = 64;          // how many recent frames the penalties look at; 0 = all
  std::vector<LogitBias> logit_bias;
  Schedule temperature_schedule;  // where given, instead of temperature
  Schedule top_k_schedule;        // where given, instead of top_k; rounded; a 0 (off) is not blended with its neighbour

  // Throws kInvalidArgument with the field's name, its range and what it got.
  void validate(const char* what) const;
};

// What happens to speech that runs away: that goes on past what its text needs, repeats itself, or falls silent.
enum class GuardPolicy {
  kOff,    // nothing is watched
  kStop,   // it ends there, the repetition or the silence left out
  kRetry,  // it is drawn again, with other noise; if no attempt ends by itself, the one of the likeliest length is kept
  kFail,   // kInvalidData
};
const char* to_string(GuardPolicy policy);

// The runaway guard. Speech that ends by itself in reasonable time is never touched, and comes out the same under every
// policy. A stream cannot take back what was heard, so it stops where a whole result would be retried; both hold back
// frames that may turn out to be repetition or silence until that is known.
struct GuardOptions {
  GuardPolicy policy = GuardPolicy::kOff;
  int max_retries = 2;
  // Letters that the voice speaks in a second. 0: learned from the context turns of the speaker that have sound, starting
  // from a usual value.
  double letters_per_second = 0;
  // The speech may take this many times the length that its text should have, and slack_seconds more.
  double length_factor = 2;
  double slack_seconds = 2;
  double max_silence_seconds = 2;  // within speech, or before it

  // Throws kInvalidArgument with the field's name, its range and what it got.
  void validate() const;
};

// Silence before and after the speech, made to last exactly this long where there is more; unset: as the model made it.
// The codes stay whole.
struct TrimOptions {
  std::optional<double> lead_seconds;
  std::optional<double> trail_seconds;

  void validate() const;  // throws kInvalidArgument
};

struct SpeechRequest {
  std::string text;             // UTF-8
  int speaker = 0;
  std::vector<Turn> context;
  ContextOptions context_options;  // which turns are kept when they do not all fit
  // Unset: the model's generation_config.json, else temperature 0.9 and top-k 50 as the reference.
  std::optional<SamplingOptions> backbone_sampling;  // codebook 0
  std::optional<SamplingOptions> depth_sampling;     // codebooks 1..n-1
  uint64_t seed = 0;
  std::optional<double> max_seconds;  // of audio; unset: the model's own limit, or what the window leaves
  int min_frames = 0;                 // the end cannot be chosen before this many frames
  // Makes the end likelier (above 0) or less likely. A frame of zeros ends the speech, and codebook 0 decides: the bias is
  // added to the logit of its id 0; above 0 also to id 0 of each later codebook while all codes before it are 0, so that
  // an end that has begun becomes one.
  float stop_bias = 0;
  std::optional<double> deadline_seconds;  // of time since the call; what is not done by then is not said
  GuardOptions guard;
  TrimOptions trim;
  WatermarkOptions watermark;         // on unless switched off
};

enum class FinishReason {
  kEnd,        // by itself
  kMaxLength,  // at max_seconds, at the model's limit, or past the length that the text should take
  kLoop,       // the guard: it repeated itself
  kSilence,    // the guard: it fell silent
  kCancelled,
  kDeadline,   // deadline_seconds had passed
};
const char* to_string(FinishReason reason);

// Why the guard did not let an attempt go on.
struct GuardFinding {
  int attempt = 0;  // from 1
  FinishReason reason = FinishReason::kEnd;
  double at_seconds = 0;      // of generated speech, when it was found
  double kept_seconds = 0;    // what was good of it
  double period_seconds = 0;  // of a loop
};

struct SpeechStats {
  int n_prompt_positions = 0;
  int n_reused_positions = 0;  // of these: begun alike by an earlier prompt, whose keys and values were still there
  int n_frames = 0;
  int n_threads = 0;
  uint64_t seed = 0;
  double audio_seconds = 0;
  double context_ms = 0;      // reading, resampling and encoding context audio
  double prefill_ms = 0;
  double first_audio_ms = 0;  // from the start of the request to the first samples
  double total_ms = 0;
  double real_time_factor = 0;  // total time over audio time; below 1 is faster than real time
  uint64_t peak_memory_bytes = 0;
  FinishReason finish_reason = FinishReason::kEnd;
  double expected_seconds = 0;  // of speech, from the text and the speaker's pace
  int n_attempts = 1;
  std::vector<GuardFinding> findings;
  WatermarkStats watermark;  // what was embedded
};

struct SpeechResult {
  Audio audio;
  Codes codes;
  SpeechStats stats;
};

// Reported once per frame, on the inference thread, which waits for the callback.
struct SpeechProgress {
  int n_frames = 0;
  double audio_seconds = 0;
  double real_time_factor = 0;
  double expected_seconds = 0;     // of the whole utterance; never less than what is there
  const float* samples = nullptr;  // the new ones, during the call
  size_t n_samples = 0;
};

}  // namespace csm
