#include "audio/loudness.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "base/fail.h"

namespace csm {
namespace {

constexpr double kDefaultTruePeakDb = -1;
constexpr double kBlockSeconds = 0.4;
constexpr double kCloseEnough = 0.05;  // LU
constexpr int kMaxRounds = 8;
constexpr double kMaxExtraGainDb = 12;  // beyond what the unlimited sound would need: more would be distortion

}  // namespace

double to_amplitude(double db) { return std::pow(10.0, db / 20); }
double to_db(double amplitude) { return 20 * std::log10(amplitude); }

std::optional<double> ceiling_of(const AudioOutputOptions& options) {
  if (options.true_peak_db) return to_amplitude(*options.true_peak_db);
  if (options.loudness_lufs) return to_amplitude(kDefaultTruePeakDb);
  return std::nullopt;
}

LoudnessMeter::LoudnessMeter(int sample_rate_hz, Measure measure)
    : state_(ebur128_init(1, static_cast<unsigned long>(sample_rate_hz),
                          measure == Measure::kLoudness ? EBUR128_MODE_I : EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK)),
      n_block_(static_cast<size_t>(std::ceil(kBlockSeconds * sample_rate_hz))) {
  if (state_ == nullptr) throw std::bad_alloc();
}

LoudnessMeter::~LoudnessMeter() { ebur128_destroy(&state_); }

void LoudnessMeter::add_to_meter(std::span<const float> samples) {
  if (samples.empty()) return;
  if (ebur128_add_frames_float(state_, samples.data(), samples.size()) != EBUR128_SUCCESS) throw std::bad_alloc();
}

void LoudnessMeter::add(std::span<const float> samples) {
  const size_t n_first = std::min(samples.size(), n_block_ - std::min(n_block_, first_.size()));
  first_.insert(first_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(n_first));
  add_to_meter(samples);
  double peak = 0;
  if (ebur128_prev_true_peak(state_, 0, &peak) == EBUR128_SUCCESS) true_peak_ = std::max(true_peak_, peak);
}

std::optional<double> LoudnessMeter::integrated() {
  if (!first_.empty() && first_.size() < n_block_) {
    LoudnessMeter whole_block(static_cast<int>(state_->samplerate), Measure::kLoudness);
    while (whole_block.first_.size() < n_block_) whole_block.add(first_);
    return whole_block.integrated();
  }
  double loudness = 0;
  if (ebur128_loudness_global(state_, &loudness) != EBUR128_SUCCESS || !std::isfinite(loudness)) return std::nullopt;
  return loudness;
}

std::optional<double> LoudnessMeter::true_peak_db() const {
  if (true_peak_ <= 0) return std::nullopt;
  return to_db(true_peak_);
}

Leveller::Leveller(const AudioOutputOptions& options, int sample_rate_hz)
    : options_(options), sample_rate_hz_(sample_rate_hz) {}

double Leveller::gain_for_peak() {
  float peak = 0;
  spool_.read([&](std::span<const float> block) {
    for (const float sample : block) peak = std::max(peak, std::fabs(sample));
  });
  return peak > 0 ? *options_.peak_db - to_db(static_cast<double>(peak)) : 0;
}

double Leveller::gain_for_loudness() {
  const double target = *options_.loudness_lufs;
  LoudnessMeter as_it_is(sample_rate_hz_, LoudnessMeter::Measure::kLoudness);
  spool_.read([&](std::span<const float> block) { as_it_is.add(block); });
  const std::optional<double> first = as_it_is.integrated();
  if (!first) return 0;
  const double most = target - *first + kMaxExtraGainDb;
  double gain_db = target - *first;
  for (int round = 0; round < kMaxRounds; ++round) {
    LoudnessMeter limited(sample_rate_hz_, LoudnessMeter::Measure::kLoudness);
    play(gain_db, [&](std::span<const float> block) { limited.add(block); });
    const double missing = target - limited.integrated().value_or(target);
    if (std::fabs(missing) < kCloseEnough) break;
    gain_db = std::min(gain_db + missing, most);
  }
  return gain_db;
}

void Leveller::play(double gain_db, const Use& use) {
  const auto gain = static_cast<float>(to_amplitude(gain_db));
  const std::optional<double> ceiling = ceiling_of(options_);
  std::optional<Limiter> limiter;
  if (ceiling) limiter.emplace(*ceiling, sample_rate_hz_);
  std::vector<float> scaled;
  std::vector<float> limited;
  spool_.read([&](std::span<const float> block) {
    scaled.assign(block.begin(), block.end());
    for (float& sample : scaled) sample *= gain;
    limited.clear();
    if (limiter) limiter->push(scaled, limited);
    use(limiter ? limited : scaled);
  });
  limited.clear();
  if (limiter) limiter->finish(limited);
  if (!limited.empty()) use(limited);
}

double Leveller::finish(const Use& use) {
  const double gain_db = options_.peak_db ? gain_for_peak() : gain_for_loudness();
  play(gain_db, use);
  return gain_db;
}

}  // namespace csm
