// What is asked for and what comes back: turns, sampling, requests, statistics. Plain values, standard types only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <csm/audio.h>

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
};

// How one code is drawn from its logits. Every filter is neutral at its default. Order: logit bias, penalties, minimum
// length, masked ids, temperature, top-k (ties with the k-th are all kept), top-p, min-p, then Gumbel-max.
struct SamplingOptions {
  float temperature = 0.9f;         // > 0; 0 means greedy
  int top_k = 50;                   // 0 = off
  float top_p = 1.0f;               // (0, 1]; 1 = off
  float min_p = 0.0f;               // [0, 1); 0 = off
  float repetition_penalty = 1.0f;  // > 0; 1 = off
  float frequency_penalty = 0.0f;   // subtracted once per earlier use
  float presence_penalty = 0.0f;    // subtracted once if used at all
  int penalty_window = 64;          // how many recent frames the penalties look at; 0 = all
  std::vector<std::pair<int, float>> logit_bias;  // (id, added value)

  // Throws kInvalidArgument with the field's name, its range and what it got.
  void validate(const char* what) const;
};

struct SpeechRequest {
  std::string text;             // UTF-8
  int speaker = 0;
  std::vector<Turn> context;
  // Unset: the model's generation_config.json, else temperature 0.9 and top-k 50 as the reference.
  std::optional<SamplingOptions> backbone_sampling;  // codebook 0
  std::optional<SamplingOptions> depth_sampling;     // codebooks 1..n-1
  uint64_t seed = 0;
  std::optional<double> max_seconds;  // of audio; unset: the model's own limit, or what the window leaves
  int min_frames = 0;                 // the end cannot be chosen before this many frames
};

enum class FinishReason { kEnd, kMaxLength, kCancelled };
const char* to_string(FinishReason reason);

struct SpeechStats {
  int n_prompt_positions = 0;
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
};

struct SpeechResult {
  Audio audio;
  Codes codes;
  SpeechStats stats;
};

// Reported once per frame, on the inference thread.
struct SpeechProgress {
  int n_frames = 0;
  double audio_seconds = 0;
  double real_time_factor = 0;
};

}  // namespace csm
