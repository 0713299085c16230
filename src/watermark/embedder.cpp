// The streaming embedder (csm/watermark.h): chips of two windows, changes added to the sound by overlap.
#include <algorithm>
#include <cmath>

#include <csm/watermark.h>

#include "base/fail.h"
#include "watermark/pattern.h"
#include "watermark/strength.h"
#include "watermark/tiles.h"

namespace csm {

using namespace mark;

namespace {

constexpr float kPeak = 0.99f;         // no sample is raised above this
constexpr size_t kSilentRun = 16;      // so many zeros in a row are digital silence
constexpr float kNepersPerDb = 0.11512925f;

size_t hop_at(int sample_rate_hz) {
  if (sample_rate_hz < kHopsPerSecond || sample_rate_hz % kHopsPerSecond != 0) {
    fail(ErrorCode::kUnsupported,
         "watermark: expected a sample rate that is a multiple of {} Hz, found {}; resample, or switch the watermark off",
         kHopsPerSecond, sample_rate_hz);
  }
  return static_cast<size_t>(sample_rate_hz / kHopsPerSecond);
}

}  // namespace

// Holds the hop before the chip and the chip itself: [history | first half | second half].
class WatermarkEmbedder::Impl {
 public:
  Impl(const WatermarkOptions& options, int sample_rate_hz)
      : hop_(options.enabled ? hop_at(sample_rate_hz) : 1),
        strength_(strength_of(options.preset)),
        enabled_(options.enabled),
        chips_(KeyPattern(options.key.bytes).chips(options.payload)),
        first_(hop_),
        second_(hop_),
        sound_(3 * hop_),
        change_(3 * hop_) {
    if (enabled_) {
      stats_.preset = options.preset;
      stats_.payload = options.payload;
      stats_.key_name = options.key.name;
    }
    start();
  }

  void push(const float* samples, size_t n_samples, std::vector<float>& out) {
    if (!enabled_) {
      out.insert(out.end(), samples, samples + n_samples);
      return;
    }
    if (n_pushed_ == 0) {
      n_changed_ = n_tiles_ = 0;
      stats_.embedded = false;
      stats_.changed_share = 0;
    }
    n_pushed_ += n_samples;
    while (n_samples > 0) {
      const size_t n = std::min(n_samples, sound_.size() - filled_);
      std::copy(samples, samples + n, sound_.begin() + static_cast<ptrdiff_t>(filled_));
      filled_ += n;
      samples += n;
      n_samples -= n;
      if (filled_ == sound_.size()) mark_chip(out);
    }
  }

  void finish(std::vector<float>& out) {
    while (n_out_ < n_pushed_) {
      std::fill(sound_.begin() + static_cast<ptrdiff_t>(filled_), sound_.end(), 0.0f);
      mark_chip(out);
    }
    start();
  }

  const WatermarkStats& stats() const { return stats_; }

 private:
  void start() {
    std::fill(sound_.begin(), sound_.end(), 0.0f);
    std::fill(change_.begin(), change_.end(), 0.0f);
    filled_ = hop_;
    to_skip_ = hop_;  // the history before the first sample is nobody's
    row_ = 0;
    n_pushed_ = n_out_ = zeros_before_ = 0;
  }

  void mark_chip(std::vector<float>& out) {
    const std::span<const float> sound(sound_);
    first_.analyse(sound.first(2 * hop_));
    second_.analyse(sound.subspan(hop_));
    const TileRow changes = chip_changes(strength_, &chips_[row_ * kTiles], first_.tile_db(), second_.tile_db());
    TileRow raise, lower;
    for (size_t tile = 0; tile < kTiles; ++tile) {
      raise[tile] = changes[tile] == 0 ? 0 : std::exp(kNepersPerDb * changes[tile]) - 1;
      lower[tile] = changes[tile] == 0 ? 0 : std::exp(-kNepersPerDb * changes[tile]) - 1;
      n_changed_ += changes[tile] != 0 ? 1 : 0;
    }
    n_tiles_ += kTiles;
    stats_.embedded = n_changed_ > 0;
    stats_.changed_share = static_cast<double>(n_changed_) / static_cast<double>(n_tiles_);
    first_.add_change(raise, std::span(change_).first(2 * hop_));
    second_.add_change(lower, std::span(change_).subspan(hop_));
    emit(out);
    std::copy(sound_.end() - static_cast<ptrdiff_t>(hop_), sound_.end(), sound_.begin());
    std::copy(change_.end() - static_cast<ptrdiff_t>(hop_), change_.end(), change_.begin());
    std::fill(change_.begin() + static_cast<ptrdiff_t>(hop_), change_.end(), 0.0f);
    filled_ = hop_;
    row_ = (row_ + 1) % kPeriod;
  }

  // The first two hops are complete.
  void emit(std::vector<float>& out) {
    for (size_t i = 0; i < 2 * hop_;) {
      size_t end = i;
      while (end < sound_.size() && sound_[end] == 0) ++end;
      const bool silent = zeros_before_ + (end - i) >= kSilentRun;
      end = std::min(end, 2 * hop_);
      for (; i < end; ++i, ++zeros_before_) put(silent ? 0 : change_[i], out);
      if (i == 2 * hop_) break;
      const float most = std::max(kPeak, std::abs(sound_[i]));
      put(change_[i] == 0 ? sound_[i] : std::clamp(sound_[i] + change_[i], -most, most), out);
      zeros_before_ = 0;
      ++i;
    }
  }

  void put(float sample, std::vector<float>& out) {
    if (to_skip_ > 0) {
      --to_skip_;
    } else if (n_out_ < n_pushed_) {
      out.push_back(sample);
      ++n_out_;
    }
  }

  size_t hop_;
  Strength strength_;
  bool enabled_;
  Pattern chips_;
  Spectrum first_, second_;
  std::vector<float> sound_, change_;  // [3 * hop]
  size_t filled_ = 0, to_skip_ = 0, row_ = 0, zeros_before_ = 0;
  size_t n_pushed_ = 0, n_out_ = 0;
  uint64_t n_changed_ = 0, n_tiles_ = 0;
  WatermarkStats stats_;
};

WatermarkEmbedder::WatermarkEmbedder(const WatermarkOptions& options, int sample_rate_hz)
    : impl_(std::make_unique<Impl>(options, sample_rate_hz)) {}
WatermarkEmbedder::~WatermarkEmbedder() = default;
WatermarkEmbedder::WatermarkEmbedder(WatermarkEmbedder&&) noexcept = default;
WatermarkEmbedder& WatermarkEmbedder::operator=(WatermarkEmbedder&&) noexcept = default;

void WatermarkEmbedder::push(const float* samples, size_t n_samples, std::vector<float>& out) {
  impl_->push(samples, n_samples, out);
}
void WatermarkEmbedder::finish(std::vector<float>& out) { impl_->finish(out); }
const WatermarkStats& WatermarkEmbedder::stats() const { return impl_->stats(); }

}  // namespace csm
