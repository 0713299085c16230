// A look-ahead limiter for true peaks: between the samples too, nothing exceeds the ceiling.
//
// Place in the flow: AudioWriter, last before the encoder. Each sample's peak is the largest magnitude of the
// interpolated curve around it. The gain falls before the peak comes, within the look-ahead, and recovers slowly; where
// nothing exceeds the ceiling samples pass unchanged. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace csm {

class Limiter {
 public:
  Limiter(double ceiling, int sample_rate_hz);  // ceiling: amplitude, above 0

  // As many samples come out in all as go in; they are late by the look-ahead until finish().
  void push(std::span<const float> samples, std::vector<float>& out);
  void finish(std::vector<float>& out);

 private:
  void add(float sample, std::vector<float>& out);
  double interval_peak() const;
  double next_gain(double wanted);

  double ceiling_;
  int64_t n_ahead_;
  double recovery_;            // factor per sample
  std::vector<float> filter_;  // [kPhases - 1, kTaps]
  float overshoot_;            // the curve is at most this many times the largest sample around it
  std::vector<float> window_;  // its last kTaps are around the interval that is examined
  double last_interval_peak_ = 0;
  int64_t n_in_ = 0;
  int64_t n_out_ = 0;
  std::deque<float> samples_;  // not yet given out
  struct Minimum {
    int64_t index;
    double gain;
  };
  std::deque<Minimum> minima_;  // rising gains: the front is the least of the look-ahead
  int64_t n_gains_ = 0;
  double recovered_ = 1;
  std::deque<double> gains_;  // the last n_ahead_, whose mean is the gain
  double gain_sum_ = 0;
};

}  // namespace csm
