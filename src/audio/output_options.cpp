// What output options may be.
#include <algorithm>
#include <cmath>

#include "audio/encoder.h"
#include "base/fail.h"

namespace csm {
namespace {

constexpr int kLowestRateHz = 8'000;
constexpr int kHighestRateHz = 384'000;
constexpr double kMaxFadeSeconds = 60;
constexpr size_t kMaxTagBytes = 4'096;

void check_range(const char* field, double value, double least, double most, const char* unit) {
  if (value >= least && value <= most) return;  // false for NaN
  fail(ErrorCode::kInvalidArgument, "{}: expected {} to {} {}, found {}", field, least, most, unit, value);
}

void check_tag(const std::string& name, const std::string& value) {
  if (!is_tag_name(name)) {
    fail(ErrorCode::kInvalidArgument, "tags: no tag is called '{}'; expected one of {}", name, tag_names());
  }
  const bool has_control =
      std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 && c != '\n'; });
  if (value.empty() || value.size() > kMaxTagBytes || has_control) {
    fail(ErrorCode::kInvalidArgument, "tags: '{}' must be 1 to {} bytes of text without control characters", name,
         kMaxTagBytes);
  }
}

}  // namespace

void AudioOutputOptions::validate() const {
  if (sample_rate_hz != 0) check_range("sample_rate_hz", sample_rate_hz, kLowestRateHz, kHighestRateHz, "Hz, or 0");
  check_range("fade_in_seconds", fade_in_seconds, 0, kMaxFadeSeconds, "s");
  check_range("fade_out_seconds", fade_out_seconds, 0, kMaxFadeSeconds, "s");
  if (loudness_lufs) check_range("loudness_lufs", *loudness_lufs, -70, -5, "LUFS");
  if (peak_db) check_range("peak_db", *peak_db, -60, 0, "dBFS");
  if (true_peak_db) check_range("true_peak_db", *true_peak_db, -20, 0, "dBTP");
  if (loudness_lufs && peak_db) {
    fail(ErrorCode::kInvalidArgument,
         "loudness_lufs and peak_db exclude each other; true_peak_db limits peaks beside loudness");
  }
  for (const auto& [name, value] : tags) check_tag(name, value);
  for (size_t i = 0; i < tags.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (tags[i].first == tags[j].first) fail(ErrorCode::kInvalidArgument, "tags: '{}' is given twice", tags[i].first);
    }
  }
  (void)choose_container(format, "");
}

}  // namespace csm
