// How fast this machine reads memory: the yardstick of `csm bench`.
//
// Place in the flow: base; the engine's measurements stand beside this number, since on a shared machine only ratios
// can be compared. Reads only, in one contiguous share for each thread, with threads that are started once and sleep in
// between. A probe serves one caller at a time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace csm {

class BandwidthProbe {
 public:
  // n_threads >= 1, the caller's among them.
  explicit BandwidthProbe(int n_threads);
  ~BandwidthProbe();
  BandwidthProbe(const BandwidthProbe&) = delete;
  BandwidthProbe& operator=(const BandwidthProbe&) = delete;

  // Reads the bytes once, unmeasured, then n_passes times: the best in GB/s (1e9 bytes). The bytes stay as they are.
  double measure(std::span<const std::byte> bytes, int n_passes);

  // What the reading added up to in the last pass: the sum of all whole 64-bit words. For tests, and so that it cannot
  // be left out.
  uint64_t sum() const { return sum_; }

 private:
  void work(int index);
  void read_all();
  uint64_t read_share(int index) const;

  int n_threads_ = 1;
  std::span<const std::byte> bytes_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  uint64_t pass_ = 0;  // counts up: the signal to read
  int n_busy_ = 0;
  bool stopping_ = false;
  uint64_t sum_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace csm
