#include "engine/guard.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "base/utf8.h"

namespace csm {
namespace {

// Measured on the 16,000 clips that the bundled voices learned from (12.6 and 14.6 letters a second, 0.2 s around them,
// 0.17 s for a punctuation mark): half to twice the length that these give holds all but a few of 10,000.
constexpr double kLettersPerSecond = 13.5;
constexpr double kAroundSeconds = 0.25;
constexpr double kLettersOfPause = 2.3;
constexpr double kLettersOfDigit = 4;     // "seven"
constexpr double kLettersOfSyllable = 3;  // Chinese, Japanese, Korean
constexpr double kLettersKnown = 60;      // the usual rate weighs as much as a context turn of this length
constexpr double kSlowest = 4;
constexpr double kFastest = 40;

constexpr double kQuietLevel = 0.001;  // -60 dB of full scale,
constexpr double kQuietPart = 0.01;    // or -40 dB of the loudest
constexpr double kKeptQuietSeconds = 0.3;
constexpr double kPatienceSeconds = 0.5;
constexpr double kEnoughPart = 0.9;  // of the expected length, for all of a text

constexpr int kExactFrames = 12;  // that repeat exactly, and at least two periods of them: a loop
constexpr int kNearFrames = 25;   // the same for first codes alone, which natural speech sometimes repeats
constexpr int kMismatchCost = 2;

bool is_pause(char32_t c) {
  constexpr std::u32string_view kMarks = U".,;:!?\u2026\u2014\u3001\u3002\uFF01\uFF0C\uFF1A\uFF1B\uFF1F";
  return kMarks.find(c) != std::u32string_view::npos;
}

double letters_of(char32_t c) {
  if (is_pause(c)) return kLettersOfPause;
  if (c >= '0' && c <= '9') return kLettersOfDigit;
  if (c >= 0x2E80) return kLettersOfSyllable;
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 1 : 0;
  const bool is_mark = (c >= 0x80 && c < 0xC0) || (c >= 0x0300 && c < 0x0370) || (c >= 0x2000 && c < 0x2C00);
  return is_mark ? 0 : 1;
}

// Sound of a turn without what lies around the speech; 0: it has none.
double sound_seconds(const Turn& turn, double frame_rate_hz) {
  const double seconds = turn.codes   ? turn.codes->n_frames() / frame_rate_hz
                         : turn.audio ? turn.audio->seconds()
                                      : 0;
  return std::max(0.0, seconds - kAroundSeconds);
}

void check_field(const char* field, double value, double least, double most, const char* note = "") {
  if (value >= least && value <= most) return;
  fail(ErrorCode::kInvalidArgument, "guard: {} is {}; expected {}..{}{}", field, value, least, most, note);
}

int frames_of(double seconds, double frame_rate_hz) {
  return static_cast<int>(std::lround(std::min(seconds * frame_rate_hz, 1e8)));
}

}  // namespace

void GuardOptions::validate() const {
  check_field("max_retries", max_retries, 0, 100);
  check_field("letters_per_second", letters_per_second, 0, 100, " (0 = learned)");
  check_field("length_factor", length_factor, 1, 100);
  check_field("slack_seconds", slack_seconds, 0, 1000);
  check_field("max_silence_seconds", max_silence_seconds, 0.5, 1000);
}

const char* to_string(GuardPolicy policy) {
  switch (policy) {
    case GuardPolicy::kOff:
      return "off";
    case GuardPolicy::kStop:
      return "stop";
    case GuardPolicy::kRetry:
      return "retry";
    case GuardPolicy::kFail:
      return "fail";
  }
  return "unknown";
}

double speech_letters(std::string_view text) {
  double letters = 0;
  for (size_t position = 0; position < text.size();) letters += letters_of(next_code_point(text, position));
  return letters;
}

double letters_per_second(const SpeechRequest& request, double frame_rate_hz) {
  if (request.guard.letters_per_second > 0) return request.guard.letters_per_second;
  double letters = kLettersKnown;
  double seconds = kLettersKnown / kLettersPerSecond;
  for (const Turn& turn : request.context) {
    const double sound = turn.speaker == request.speaker ? sound_seconds(turn, frame_rate_hz) : 0;
    if (sound <= 0) continue;
    letters += speech_letters(turn.text);
    seconds += sound;
  }
  return std::clamp(letters / seconds, kSlowest, kFastest);
}

double expected_seconds(const SpeechRequest& request, double frame_rate_hz) {
  return kAroundSeconds + speech_letters(request.text) / letters_per_second(request, frame_rate_hz);
}

bool QuietMeter::is_quiet(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  const double level = samples.empty() ? 0 : std::sqrt(sum / static_cast<double>(samples.size()));
  loudest_ = std::max(loudest_, level);
  return level < std::max(kQuietLevel, kQuietPart * loudest_);
}

void LoopDetector::push(std::span<const int32_t> codes, bool is_quiet) {
  uint64_t digest = 1469598103934665603u;  // FNV-1a
  for (const int32_t code : codes) digest = (digest ^ static_cast<uint32_t>(code)) * 1099511628211u;
  n_suspect_ = 0;
  if (!is_quiet) {
    for (int period = 1; period <= std::min(kMaxPeriod, n_frames_); ++period) compare(period, digest, codes.front());
  }
  const auto slot = static_cast<size_t>(n_frames_ % kMaxPeriod);
  digests_[slot] = digest;
  firsts_[slot] = codes.front();
  ++n_frames_;
}

void LoopDetector::compare(int period, uint64_t digest, int32_t first) {
  const auto p = static_cast<size_t>(period);
  const auto earlier = static_cast<size_t>((n_frames_ - period) % kMaxPeriod);
  exact_[p] = digest == digests_[earlier] ? exact_[p] + 1 : 0;
  near_[p] = first == firsts_[earlier] ? near_[p] + 1 : std::max(0, near_[p] - kMismatchCost);
  since_[p] = near_[p] > 0 ? since_[p] + 1 : 0;
  if (exact_[p] >= kExactFrames / 3) n_suspect_ = std::max(n_suspect_, exact_[p]);
  if (near_[p] >= kNearFrames / 3) n_suspect_ = std::max(n_suspect_, since_[p]);
  const bool repeats = exact_[p] >= std::max(kExactFrames, 2 * period) || near_[p] >= std::max(kNearFrames, 2 * period);
  if (repeats && period_ == 0) period_ = period;
}

Guard::Guard(const GuardOptions& options, double expected_seconds, double frame_rate_hz, int min_frames)
    : options_(options),
      patience_frames_(frames_of(kPatienceSeconds, frame_rate_hz)),
      max_quiet_frames_(frames_of(options.max_silence_seconds, frame_rate_hz)),
      kept_quiet_frames_(frames_of(kKeptQuietSeconds, frame_rate_hz)) {
  enough_frames_ = std::max(frames_of(kEnoughPart * expected_seconds, frame_rate_hz), min_frames);
  const double budget = options.length_factor * expected_seconds + options.slack_seconds;
  budget_frames_ = std::max(frames_of(budget, frame_rate_hz), min_frames);
}

void Guard::restart() {
  meter_ = {};
  loop_ = {};
  n_frames_ = n_quiet_ = n_safe_ = pause_frame_ = 0;
}

std::optional<FinishReason> Guard::push(std::span<const int32_t> codes, std::span<const float> samples) {
  ++n_frames_;
  if (options_.policy == GuardPolicy::kOff) {
    n_safe_ = n_frames_;
    return std::nullopt;
  }
  const bool is_quiet = meter_.is_quiet(samples);
  n_quiet_ = is_quiet ? n_quiet_ + 1 : 0;
  if (is_quiet && pause_frame_ == 0 && n_frames_ >= enough_frames_) pause_frame_ = n_frames_;
  loop_.push(codes, is_quiet);
  const int n_waiting = std::max(loop_.n_suspect(), n_quiet_ - kept_quiet_frames_);
  n_safe_ = std::max(n_safe_, n_frames_ - std::max(0, n_waiting));
  return judge();
}

std::optional<FinishReason> Guard::judge() {
  if (loop_.period() > 0) return FinishReason::kLoop;
  if (n_quiet_ > max_quiet_frames_) return FinishReason::kSilence;
  const int n_over = n_frames_ - budget_frames_;
  if (n_over < 0 || (n_quiet_ == 0 && n_over < patience_frames_)) return std::nullopt;
  n_safe_ = n_frames_;
  return FinishReason::kMaxLength;
}

}  // namespace csm
