// Windowed-sinc resampling, the formula of torchaudio.functional.resample with its defaults, in double precision.
//
// With o and n the rates divided by their greatest common divisor, output sample m*n + i is the sum over k of
// coefficient(i, k) * input[m*o + k], where t = (k/o - i/n) * base, base = 0.99 * min(o, n), and
// coefficient = base/o * cos(pi*t/12)^2 * sin(pi*t)/(pi*t) for |t| < 6, else 0. See docs/decisions/0002-resampler.md.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "audio/audio_io.h"
#include "base/fail.h"

namespace csm {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kZeroCrossings = 6;
constexpr double kRollOff = 0.99;
constexpr int64_t kMaxCachedTaps = int64_t{1} << 20;  // 8 MiB of coefficients

struct Taps {
  int64_t first = 0;  // k of the first one
  std::vector<double> coefficients;
};

// The coefficients of output phase i that are not zero: about 12 * max(1, o/n) of them.
void compute_taps(int64_t o, int64_t n, int64_t i, Taps& taps) {
  const double base = static_cast<double>(std::min(o, n)) * kRollOff;
  const double centre = static_cast<double>(i) * static_cast<double>(o) / static_cast<double>(n);
  const double reach = kZeroCrossings * static_cast<double>(o) / base;
  taps.first = static_cast<int64_t>(std::ceil(centre - reach));
  const auto last = static_cast<int64_t>(std::floor(centre + reach));
  taps.coefficients.clear();
  for (int64_t k = taps.first; k <= last; ++k) {
    const double offset =
        static_cast<double>(k) / static_cast<double>(o) - static_cast<double>(i) / static_cast<double>(n);
    const double t = std::clamp(offset * base, -kZeroCrossings, kZeroCrossings);
    const double window = std::cos(kPi * t / (2 * kZeroCrossings));
    const double sinc = t == 0 ? 1 : std::sin(kPi * t) / (kPi * t);
    taps.coefficients.push_back(base / static_cast<double>(o) * window * window * sinc);
  }
}

// The input beyond its ends is silence.
float apply(const Taps& taps, const std::vector<float>& input, int64_t start) {
  const int64_t first = start + taps.first;
  const int64_t n_taps = static_cast<int64_t>(taps.coefficients.size());
  const int64_t from = std::max<int64_t>(0, -first);
  const int64_t to = std::min(n_taps, static_cast<int64_t>(input.size()) - first);
  double sum = 0;
  for (int64_t k = from; k < to; ++k) {
    sum += taps.coefficients[static_cast<size_t>(k)] * static_cast<double>(input[static_cast<size_t>(first + k)]);
  }
  return static_cast<float>(sum);
}

void check_rate(int rate_hz, const char* what) {
  if (rate_hz < kMinSampleRateHz || rate_hz > kMaxSampleRateHz) {
    fail(ErrorCode::kInvalidArgument, "cannot resample: expected {} sample rate of {} to {} Hz, found {}", what,
         kMinSampleRateHz, kMaxSampleRateHz, rate_hz);
  }
}

}  // namespace

Audio resample(const Audio& audio, int sample_rate_hz) {
  check_rate(audio.sample_rate_hz, "an input");
  check_rate(sample_rate_hz, "an output");
  if (audio.sample_rate_hz == sample_rate_hz) return audio;
  const int64_t divisor = std::gcd(audio.sample_rate_hz, sample_rate_hz);
  const int64_t o = audio.sample_rate_hz / divisor;
  const int64_t n = sample_rate_hz / divisor;
  const auto n_in = static_cast<int64_t>(audio.samples.size());
  if (n_in > kMaxSamples || n_in * n / o > kMaxSamples) {
    fail(ErrorCode::kResourceLimit, "cannot resample {} samples from {} to {} Hz: more than {} samples", n_in,
         audio.sample_rate_hz, sample_rate_hz, kMaxSamples);
  }
  const int64_t n_out = (n_in * n + o - 1) / o;

  // Rates with few common factors have up to 768,000 phases; then each sample's coefficients are made when needed.
  const int64_t n_phases = std::min(n, n_out);
  const int64_t taps_per_phase = 2 + 13 * std::max<int64_t>(1, o / n + 1);
  const bool cached = n_phases * taps_per_phase <= kMaxCachedTaps;
  std::vector<Taps> phases(cached ? static_cast<size_t>(n_phases) : 1);
  for (int64_t i = 0; cached && i < n_phases; ++i) compute_taps(o, n, i, phases[static_cast<size_t>(i)]);

  Audio out;
  out.sample_rate_hz = sample_rate_hz;
  out.samples.resize(static_cast<size_t>(n_out));
  for (int64_t index = 0; index < n_out; ++index) {
    const int64_t phase = index % n;
    if (!cached) compute_taps(o, n, phase, phases[0]);
    const Taps& taps = phases[cached ? static_cast<size_t>(phase) : 0];
    out.samples[static_cast<size_t>(index)] = apply(taps, audio.samples, index / n * o);
  }
  return out;
}

}  // namespace csm
