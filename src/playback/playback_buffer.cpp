#include "playback/playback_buffer.h"

#include <algorithm>

namespace csm {
namespace {

constexpr uint64_t kBufferSeconds = 60;
constexpr uint64_t kStartMs = 200;
constexpr uint64_t kGoOnMs = 500;
constexpr uint64_t kRampMs = 4;

}  // namespace

PlaybackBuffer::PlaybackBuffer(int sample_rate_hz)
    : n_to_start_(kStartMs * static_cast<uint64_t>(sample_rate_hz) / 1'000),
      n_to_go_on_(kGoOnMs * static_cast<uint64_t>(sample_rate_hz) / 1'000),
      n_ramp_(kRampMs * static_cast<uint64_t>(sample_rate_hz) / 1'000),
      samples_(kBufferSeconds * static_cast<uint64_t>(sample_rate_hz)),
      n_until_start_(n_to_start_),
      n_since_pause_(n_ramp_) {}

size_t PlaybackBuffer::push(std::span<const float> samples) {
  const uint64_t written = n_written_.load(std::memory_order_relaxed);
  const uint64_t room = samples_.size() - (written - n_read_.load(std::memory_order_acquire));
  const auto n = static_cast<size_t>(std::min<uint64_t>(room, samples.size()));
  for (size_t i = 0; i < n; ++i) samples_[(written + i) % samples_.size()] = samples[i];
  n_written_.store(written + n, std::memory_order_release);
  return n;
}

void PlaybackBuffer::take(std::span<float> block) {
  const uint64_t read = n_read_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < block.size(); ++i) {
    float sample = samples_[(read + i) % samples_.size()];
    if (n_since_pause_ < n_ramp_) {
      sample *= static_cast<float>(n_since_pause_) / static_cast<float>(n_ramp_);
      ++n_since_pause_;
    }
    block[i] = sample;
  }
  n_read_.store(read + block.size(), std::memory_order_release);
}

bool PlaybackBuffer::fill(std::span<float> block) {
  // The end first: what was written before it is then seen as well.
  const bool ended = ended_.load(std::memory_order_acquire);
  const uint64_t available = n_written_.load(std::memory_order_acquire) - n_read_.load(std::memory_order_relaxed);
  if (!playing_ && (ended || available >= n_until_start_)) playing_ = true;
  if (!playing_) {
    std::fill(block.begin(), block.end(), 0.0f);
    return true;
  }
  const auto n = static_cast<size_t>(std::min<uint64_t>(available, block.size()));
  take(block.first(n));
  std::fill(block.begin() + static_cast<std::ptrdiff_t>(n), block.end(), 0.0f);
  if (n == block.size()) return true;
  if (ended) return false;
  const size_t n_fall = std::min(n, static_cast<size_t>(n_ramp_));
  for (size_t i = 0; i < n_fall; ++i) block[n - 1 - i] *= static_cast<float>(i) / static_cast<float>(n_ramp_);
  playing_ = false;
  n_until_start_ = n_to_go_on_;
  n_since_pause_ = 0;
  n_pauses_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace csm
