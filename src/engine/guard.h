// The runaway guard: notices speech that never ends, repeats itself or falls silent, while it is generated.
//
// Place in the flow: synthesis asks it after each frame. It only looks; what follows from its findings is the policy's
// business. All it decides, it decides from what came so far, so that a stream and a whole result agree. Nothing is
// allocated for a frame. Inference thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <csm/engine.h>

namespace csm {

// How long a text is to the ear, in letters: digits and characters of scripts that write syllables count for several,
// punctuation counts for its pause. Valid UTF-8.
double speech_letters(std::string_view text);

// Letters that the request's speaker speaks in a second: as asked for, else from the context turns of the speaker that
// have sound. The frame rate turns codes into seconds.
double letters_per_second(const SpeechRequest& request, double frame_rate_hz);

// Seconds that the request's text should take.
double expected_seconds(const SpeechRequest& request, double frame_rate_hz);

// Whether a signal is quiet next to the loudest it has been.
class QuietMeter {
 public:
  bool is_quiet(std::span<const float> samples);

 private:
  double loudest_ = 0;  // root mean square of the loudest piece so far
};

// Finds stretches of frames that repeat the stretch before them: exactly in all codebooks, or nearly in the first, which
// carries what is said.
class LoopDetector {
 public:
  // One frame. Silent frames may be alike; they neither make nor break a loop.
  void push(std::span<const int32_t> codes, bool is_quiet);
  // Frames of the period that repeats, 0 if nothing does.
  int period() const { return period_; }
  // How many frames at the end may be repetition.
  int n_suspect() const { return n_suspect_; }

 private:
  static constexpr int kMaxPeriod = 64;
  void compare(int period, uint64_t digest, int32_t first);

  std::array<uint64_t, kMaxPeriod> digests_{};  // of the last frames, by frame number modulo kMaxPeriod
  std::array<int32_t, kMaxPeriod> firsts_{};    // their first codes
  std::array<int, kMaxPeriod + 1> exact_{};     // by period: frames in a row that equal the one a period earlier
  std::array<int, kMaxPeriod + 1> near_{};      // by period: the same of first codes, two taken off for each mismatch
  std::array<int, kMaxPeriod + 1> since_{};     // by period: frames since near_ was last 0
  int n_frames_ = 0;
  int period_ = 0;
  int n_suspect_ = 0;
};

class Guard {
 public:
  // An off guard lets everything pass.
  Guard(const GuardOptions& options, double expected_seconds, double frame_rate_hz, int min_frames);

  // One more frame: what is wrong with the speech, if anything is.
  std::optional<FinishReason> push(std::span<const int32_t> codes, std::span<const float> samples);
  // Frames from the first that are speech for certain; those after them wait. Never falls.
  int n_safe() const { return n_safe_; }
  int period_frames() const { return loop_.period(); }
  // The first pause where the text may have been said in full: where speech that is over its budget is best cut, if what
  // was given away can be taken back. 0: there was none.
  int pause_frame() const { return pause_frame_; }
  // For another attempt.
  void restart();

 private:
  std::optional<FinishReason> judge();

  GuardOptions options_;
  int enough_frames_ = 0;     // that the text may take
  int budget_frames_ = 0;
  int patience_frames_ = 0;   // past the budget, for a pause to stop in
  int max_quiet_frames_ = 0;
  int kept_quiet_frames_ = 0;
  QuietMeter meter_;
  LoopDetector loop_;
  int n_frames_ = 0;
  int n_quiet_ = 0;  // at the end
  int n_safe_ = 0;
  int pause_frame_ = 0;
};

}  // namespace csm
