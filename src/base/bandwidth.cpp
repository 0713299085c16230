#include "base/bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace csm {
namespace {

constexpr size_t kLineBytes = 64;
constexpr size_t kWordsPerLine = kLineBytes / sizeof(uint64_t);

// Sum of the 64-bit words of whole cache lines. Two lines a turn in independent sums: enough for any compiler to use
// vector registers, and for memory rather than addition to be the limit.
uint64_t sum_lines(const std::byte* begin, size_t n_lines) {
  uint64_t sums[2 * kWordsPerLine] = {};
  uint64_t words[2 * kWordsPerLine];
  for (size_t i = 0; i + 2 <= n_lines; i += 2) {
    std::memcpy(words, begin + i * kLineBytes, sizeof words);
    for (size_t j = 0; j < 2 * kWordsPerLine; ++j) sums[j] += words[j];
  }
  if (n_lines % 2 != 0) {
    std::memcpy(words, begin + (n_lines - 1) * kLineBytes, kLineBytes);
    for (size_t j = 0; j < kWordsPerLine; ++j) sums[j] += words[j];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

uint64_t sum_words(const std::byte* begin, size_t n_bytes) {
  const size_t n_lines = n_bytes / kLineBytes;
  uint64_t sum = sum_lines(begin, n_lines);
  for (size_t i = n_lines * kLineBytes; i + sizeof(uint64_t) <= n_bytes; i += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, begin + i, sizeof word);
    sum += word;
  }
  return sum;
}

}  // namespace

BandwidthProbe::BandwidthProbe(int n_threads) : n_threads_(std::max(1, n_threads)) {
  for (int i = 1; i < n_threads_; ++i) threads_.emplace_back([this, i] { work(i); });
}

BandwidthProbe::~BandwidthProbe() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

double BandwidthProbe::measure(std::span<const std::byte> bytes, int n_passes) {
  bytes_ = bytes;
  read_all();
  double best_seconds = 0;
  for (int i = 0; i < n_passes; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    read_all();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (i == 0 || seconds.count() < best_seconds) best_seconds = seconds.count();
  }
  bytes_ = {};
  return best_seconds > 0 ? static_cast<double>(bytes.size()) / best_seconds / 1e9 : 0;
}

void BandwidthProbe::read_all() {
  {
    const std::lock_guard lock(mutex_);
    sum_ = 0;
    n_busy_ = n_threads_ - 1;
    ++pass_;
  }
  start_.notify_all();
  const uint64_t sum = read_share(0);
  std::unique_lock lock(mutex_);
  sum_ += sum;
  done_.wait(lock, [this] { return n_busy_ == 0; });
}

void BandwidthProbe::work(int index) {
  uint64_t seen = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return stopping_ || pass_ != seen; });
      if (stopping_) return;
      seen = pass_;
    }
    const uint64_t sum = read_share(index);
    const std::lock_guard lock(mutex_);
    sum_ += sum;
    if (--n_busy_ == 0) done_.notify_one();
  }
}

// Shares begin at whole words, so that together they add up the same words as one thread would.
uint64_t BandwidthProbe::read_share(int index) const {
  const size_t n_lines = bytes_.size() / kLineBytes;
  const auto n = static_cast<size_t>(n_threads_);
  const auto i = static_cast<size_t>(index);
  const size_t begin = n_lines * i / n * kLineBytes;
  const size_t end = index + 1 == n_threads_ ? bytes_.size() : n_lines * (i + 1) / n * kLineBytes;
  return sum_words(bytes_.data() + begin, end - begin);
}

}  // namespace csm
