#include "engine/trim.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace csm {
namespace {

constexpr double kBlockSeconds = 0.01;
constexpr double kMaxSeconds = 60;

void check_field(const char* field, const std::optional<double>& value) {
  if (!value || (*value >= 0 && *value <= kMaxSeconds)) return;
  fail(ErrorCode::kInvalidArgument, "trim: {} is {}; expected 0..{} seconds", field, *value, kMaxSeconds);
}

void append(std::vector<float>& out, std::span<const float> samples) {
  out.insert(out.end(), samples.begin(), samples.end());
}

}  // namespace

void TrimOptions::validate() const {
  check_field("lead_seconds", lead_seconds);
  check_field("trail_seconds", trail_seconds);
}

SilenceTrim::SilenceTrim(const TrimOptions& options, int sample_rate_hz)
    : options_(options),
      rate_hz_(sample_rate_hz),
      block_samples_(static_cast<size_t>(std::lround(kBlockSeconds * sample_rate_hz))),
      has_sound_(!options.lead_seconds) {}

void SilenceTrim::push(std::span<const float> samples, std::vector<float>& out) {
  if (!options_.lead_seconds && !options_.trail_seconds) {
    append(out, samples);
    return;
  }
  while (!samples.empty()) {
    const size_t n = std::min(samples.size(), block_samples_ - block_.size());
    append(block_, samples.first(n));
    samples = samples.subspan(n);
    if (block_.size() < block_samples_) return;
    take_block(block_, out);
    block_.clear();
  }
}

void SilenceTrim::restart() {
  meter_ = {};
  has_sound_ = !options_.lead_seconds;
  block_.clear();
  quiet_.clear();
}

void SilenceTrim::take_block(std::span<const float> block, std::vector<float>& out) {
  const bool waits = !has_sound_ || options_.trail_seconds;
  if (meter_.is_quiet(block) && waits) {
    append(quiet_, block);
    return;
  }
  size_t n_kept = quiet_.size();
  if (!has_sound_) n_kept = std::min(n_kept, static_cast<size_t>(std::lround(*options_.lead_seconds * rate_hz_)));
  append(out, std::span<const float>(quiet_).last(n_kept));
  quiet_.clear();
  has_sound_ = true;
  append(out, block);
}

void SilenceTrim::finish(std::vector<float>& out) {
  append(quiet_, block_);
  block_.clear();
  size_t n_kept = quiet_.size();
  if (options_.trail_seconds)
    n_kept = std::min(n_kept, static_cast<size_t>(std::lround(*options_.trail_seconds * rate_hz_)));
  append(out, std::span<const float>(quiet_).first(n_kept));
  quiet_.clear();
}

}  // namespace csm
