// wanted[i] = min(1, ceiling / peak[i]), where peak[i] is over the two intervals beside sample i. least[i] = the
// minimum of wanted[i] and the n_ahead - 1 that follow. held[i] = min(least[i], held[i - 1] * recovery). gain[i] = the
// mean of held[i - n_ahead + 1 .. i]: each of those looked as far as i, so the gain is at most wanted[i], and it moves
// smoothly.
#include "audio/limiter.h"

#include <algorithm>
#include <cmath>

namespace csm {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr size_t kPhases = 8;
constexpr size_t kTaps = 64;  // around the interval: half of them on each side
constexpr size_t kWindowSamples = 4'096;
constexpr double kAheadSeconds = 0.005;
constexpr double kRecoveryDbPerSecond = 60;
constexpr double kMargin = 0.998;  // the gain moves while the curve between the samples is made

// Row p - 1: the curve at p / kPhases of the interval, from the samples around it.
std::vector<float> make_filter() {
  std::vector<float> filter;
  for (size_t phase = 1; phase < kPhases; ++phase) {
    const double at = static_cast<double>(kTaps / 2 - 1) + static_cast<double>(phase) / kPhases;
    for (size_t tap = 0; tap < kTaps; ++tap) {
      const double t = static_cast<double>(tap) - at;
      filter.push_back(static_cast<float>(std::sin(kPi * t) / (kPi * t) * std::cos(kPi * t / (kTaps + 1))));
    }
  }
  return filter;
}

float largest_row_sum(const std::vector<float>& filter) {
  float most = 1;
  for (size_t row = 0; row < filter.size(); row += kTaps) {
    float sum = 0;
    for (size_t tap = 0; tap < kTaps; ++tap) sum += std::fabs(filter[row + tap]);
    most = std::max(most, sum);
  }
  return most;
}

}  // namespace

Limiter::Limiter(double ceiling, int sample_rate_hz)
    : ceiling_(ceiling * kMargin),
      n_ahead_(std::max<int64_t>(2, std::llround(kAheadSeconds * sample_rate_hz))),
      recovery_(std::pow(10.0, kRecoveryDbPerSecond / 20 / sample_rate_hz)),
      filter_(make_filter()),
      overshoot_(largest_row_sum(filter_)),
      window_(kTaps, 0.0f) {}

// Over the interval between the two middle samples of the window, its ends included; 0 where it cannot reach the
// ceiling.
double Limiter::interval_peak() const {
  const float* window = window_.data() + window_.size() - kTaps;
  float largest = 0;
  for (size_t tap = 0; tap < kTaps; ++tap) largest = std::max(largest, std::fabs(window[tap]));
  if (static_cast<double>(largest * overshoot_) <= ceiling_) return 0;
  float peak = std::max(std::fabs(window[kTaps / 2 - 1]), std::fabs(window[kTaps / 2]));
  for (size_t row = 0; row < filter_.size(); row += kTaps) {
    float sum = 0;
    for (size_t tap = 0; tap < kTaps; ++tap) sum += filter_[row + tap] * window[tap];
    peak = std::max(peak, std::fabs(sum));
  }
  return static_cast<double>(peak);
}

// wanted[n_gains_] comes in; the gain of sample n_gains_ - (n_ahead_ - 1) is known then.
double Limiter::next_gain(double wanted) {
  while (!minima_.empty() && minima_.back().gain >= wanted) minima_.pop_back();
  minima_.push_back({n_gains_, wanted});
  if (minima_.front().index <= n_gains_ - n_ahead_) minima_.pop_front();
  ++n_gains_;
  recovered_ = std::min(minima_.front().gain, recovered_ * recovery_);
  gains_.push_back(recovered_);
  gain_sum_ += recovered_;
  if (static_cast<int64_t>(gains_.size()) > n_ahead_) {
    gain_sum_ -= gains_.front();
    gains_.pop_front();
  }
  // Exactly 1 where nothing limits, in spite of rounding in the running sum.
  const bool idle = gains_.front() >= 1 && minima_.front().gain >= 1 && recovered_ >= 1 &&
                    gain_sum_ >= static_cast<double>(gains_.size()) - 1e-9;
  if (idle) gain_sum_ = static_cast<double>(gains_.size());
  return idle ? 1 : gain_sum_ / static_cast<double>(gains_.size());
}

void Limiter::add(float sample, std::vector<float>& out) {
  if (window_.size() == kWindowSamples) window_.erase(window_.begin(), window_.end() - (kTaps - 1));
  window_.push_back(sample);
  samples_.push_back(sample);
  ++n_in_;
  const double interval = interval_peak();
  const double peak = std::max(interval, last_interval_peak_);
  last_interval_peak_ = interval;
  if (n_in_ <= static_cast<int64_t>(kTaps / 2)) return;  // the interval lies before the first sample
  const double gain = next_gain(peak > ceiling_ ? ceiling_ / peak : 1);
  if (n_gains_ < n_ahead_) return;
  out.push_back(static_cast<float>(static_cast<double>(samples_.front()) * gain));
  samples_.pop_front();
  ++n_out_;
}

void Limiter::push(std::span<const float> samples, std::vector<float>& out) {
  for (const float sample : samples) add(sample, out);
}

void Limiter::finish(std::vector<float>& out) {
  const int64_t n_samples = n_in_;
  std::vector<float> rest;
  while (n_out_ < n_samples) add(0, rest);
  out.insert(out.end(), rest.begin(), rest.end());
}

}  // namespace csm
