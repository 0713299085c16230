// The samples between the one who makes them and the sound card.
//
// Place in the flow: Player pushes on its thread, the device's callback fills its blocks on another. One thread for
// each side; no locks and no memory are taken on the device's side.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace csm {

class PlaybackBuffer {
 public:
  explicit PlaybackBuffer(int sample_rate_hz);

  // The maker's side. Takes what there is room for, and returns how many.
  size_t push(std::span<const float> samples);
  void finish() { ended_.store(true, std::memory_order_release); }

  // The device's side. Fills the whole block, with silence where there is nothing; false when all has been given and
  // the end is reached.
  bool fill(std::span<float> block);

  int n_pauses() const { return n_pauses_.load(std::memory_order_relaxed); }
  bool is_empty() const {
    return n_read_.load(std::memory_order_acquire) == n_written_.load(std::memory_order_acquire);
  }

 private:
  void take(std::span<float> block);

  uint64_t n_to_start_;
  uint64_t n_to_go_on_;
  uint64_t n_ramp_;  // samples over which sound falls before a pause, and rises after it
  std::vector<float> samples_;
  std::atomic<uint64_t> n_written_{0};
  std::atomic<uint64_t> n_read_{0};
  std::atomic<bool> ended_{false};
  std::atomic<int> n_pauses_{0};
  bool playing_ = false;  // these belong to the device's side
  uint64_t n_until_start_;
  uint64_t n_since_pause_ = 0;  // samples given since sound began again, up to n_ramp_
};

}  // namespace csm
