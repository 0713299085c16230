// Is a recording fit to be a voice? Levels are measured in pieces of 20 ms.
#include <csm/voice.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "engine/guard.h"

namespace csm {
namespace {

constexpr double kPieceSeconds = 0.02;
constexpr double kLeastSeconds = 0.5;
constexpr double kShortSeconds = 1;
constexpr double kLongSeconds = 20;
constexpr double kQuietDbfs = -36;      // speech below this is quiet
constexpr double kSilenceDbfs = -60;    // and nothing is heard below this,
constexpr double kSilenceBelowDb = 35;  // or this far below the loudest piece
constexpr double kNoiseDb = 18;         // that the quietest should lie below the speech
constexpr double kClippedShare = 0.0005;
constexpr float kFullScale = 0.999f;
constexpr double kLongSilence = 0.5;
constexpr double kSlowLetters = 4;  // a second
constexpr double kFastLetters = 30;
constexpr double kNothing = 1e-7;

double dbfs(double level) { return 20 * std::log10(std::max(level, kNothing)); }

std::vector<double> piece_levels(const Audio& audio) {
  const auto piece = static_cast<size_t>(std::max(1.0, kPieceSeconds * audio.sample_rate_hz));
  std::vector<double> levels;
  for (size_t at = 0; at < audio.samples.size(); at += piece) {
    const size_t end = std::min(audio.samples.size(), at + piece);
    double sum = 0;
    for (size_t i = at; i < end; ++i) sum += static_cast<double>(audio.samples[i]) * audio.samples[i];
    levels.push_back(dbfs(std::sqrt(sum / static_cast<double>(end - at))));
  }
  return levels;
}

void measure(const Audio& audio, ClipReport& report) {
  const std::vector<double> levels = piece_levels(audio);
  const double loudest = *std::max_element(levels.begin(), levels.end());
  const double silence = std::max(kSilenceDbfs, loudest - kSilenceBelowDb);
  const auto is_sound = [&](double level) { return level >= silence; };
  const auto first = std::find_if(levels.begin(), levels.end(), is_sound);
  const auto last = std::find_if(levels.rbegin(), levels.rend(), is_sound);
  report.lead_seconds = static_cast<double>(first - levels.begin()) * kPieceSeconds;
  report.trail_seconds = static_cast<double>(last - levels.rbegin()) * kPieceSeconds;
  double power = 0;
  double n = 0;
  for (const double level : levels) {
    if (!is_sound(level)) continue;
    power += std::pow(10, level / 10);
    ++n;
  }
  report.loudness_dbfs = n > 0 ? 10 * std::log10(power / n) : loudest;
  std::vector<double> sorted = levels;
  std::sort(sorted.begin(), sorted.end());
  report.noise_dbfs = sorted[sorted.size() / 20];
  const auto n_clipped = std::count_if(audio.samples.begin(), audio.samples.end(),
                                       [](float sample) { return std::abs(sample) >= kFullScale; });
  report.clipped_share = static_cast<double>(n_clipped) / static_cast<double>(audio.samples.size());
}

void judge(const std::string& text, ClipReport& report) {
  const auto warn = [&](std::string line) { report.warnings.push_back(std::move(line)); };
  if (report.seconds < kShortSeconds)
    warn(fmt::format("it is short ({:.1f} s); 3 to 10 s fix a voice better", report.seconds));
  if (report.seconds > kLongSeconds) {
    warn(fmt::format("it is long ({:.1f} s): all of it is read before every sentence; 3 to 10 s are enough",
                     report.seconds));
  }
  if (report.loudness_dbfs < kQuietDbfs)
    warn(fmt::format("it is quiet ({:.0f} dBFS); around -20 dBFS is usual", report.loudness_dbfs));
  if (report.clipped_share > kClippedShare)
    warn(fmt::format("it is clipped: {:.2f} % of its samples are at full scale", 100 * report.clipped_share));
  if (report.lead_seconds > kLongSilence || report.trail_seconds > kLongSilence) {
    warn(fmt::format("it has silence around the speech ({:.1f} s before, {:.1f} s after); cut it off",
                     report.lead_seconds, report.trail_seconds));
  }
  if (report.noise_dbfs > report.loudness_dbfs - kNoiseDb) {
    warn(fmt::format("it is noisy: its quietest parts lie only {:.0f} dB below the speech",
                     report.loudness_dbfs - report.noise_dbfs));
  }
  const double speech = report.seconds - report.lead_seconds - report.trail_seconds;
  const double rate = speech_letters(text) / std::max(speech, kPieceSeconds);
  if (rate < kSlowLetters || rate > kFastLetters) {
    warn(fmt::format("its text does not seem to be what is said: {:.0f} letters a second; give every word", rate));
  }
}

}  // namespace

ClipReport check_clip(const Audio& audio, const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    fail(ErrorCode::kInvalidArgument, "a clip needs the text of what is said in it, word for word");
  }
  ClipReport report;
  report.seconds = audio.seconds();
  if (report.seconds < kLeastSeconds) {
    fail(ErrorCode::kInvalidArgument,
         "a clip of {:.2f} s is too short for a voice; expected at least {} s, best 3 to 10", report.seconds,
         kLeastSeconds);
  }
  if (!std::all_of(audio.samples.begin(), audio.samples.end(), [](float sample) { return std::isfinite(sample); })) {
    fail(ErrorCode::kInvalidArgument, "a clip holds samples that are not numbers; record or convert it anew");
  }
  measure(audio, report);
  if (report.loudness_dbfs < kSilenceDbfs) {
    fail(ErrorCode::kInvalidArgument, "a clip is silent ({:.0f} dBFS); expected speech", report.loudness_dbfs);
  }
  judge(text, report);
  return report;
}

}  // namespace csm
