// The bandwidth probe reads every byte, with any number of threads, and leaves them as they are.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "base/bandwidth.h"

namespace csm {
namespace {

std::vector<std::byte> numbered_words(size_t n_words) {
  std::vector<uint64_t> words(n_words);
  std::iota(words.begin(), words.end(), uint64_t{1});
  std::vector<std::byte> bytes(n_words * sizeof(uint64_t));
  if (n_words > 0) std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

uint64_t sum_to(uint64_t n) { return n * (n + 1) / 2; }

TEST(BandwidthProbe, AddsUpEveryWordOnce) {
  for (const int n_threads : {1, 2, 3, 5}) {
    BandwidthProbe probe(n_threads);
    for (const size_t n_words : {0, 1, 7, 8, 9, 16, 24, 31, 1000, 4099}) {
      const std::vector<std::byte> bytes = numbered_words(n_words);
      probe.measure(bytes, 1);
      EXPECT_EQ(probe.sum(), sum_to(n_words)) << n_words << " words, " << n_threads << " threads";
    }
  }
}

TEST(BandwidthProbe, NeedsNoAlignment) {
  const std::vector<std::byte> words = numbered_words(513);
  for (const size_t shift : {1, 3, 8, 17}) {
    std::vector<std::byte> shifted(shift + words.size());
    std::copy(words.begin(), words.end(), shifted.begin() + static_cast<std::ptrdiff_t>(shift));
    BandwidthProbe probe(2);
    probe.measure(std::span<const std::byte>(shifted).subspan(shift), 1);
    EXPECT_EQ(probe.sum(), sum_to(513)) << "shift " << shift;
  }
}

TEST(BandwidthProbe, ReportsAPositiveRateAndLeavesTheBytes) {
  const std::vector<std::byte> bytes = numbered_words(1 << 18);
  const std::vector<std::byte> copy = bytes;
  BandwidthProbe probe(2);
  EXPECT_GT(probe.measure(bytes, 3), 0);
  EXPECT_EQ(bytes, copy);
}

TEST(BandwidthProbe, CanBeUsedManyTimes) {
  BandwidthProbe probe(3);
  for (size_t i = 1; i < 50; ++i) {
    const std::vector<std::byte> bytes = numbered_words(i * 64);
    probe.measure(bytes, 2);
    EXPECT_EQ(probe.sum(), sum_to(i * 64));
  }
}

TEST(BandwidthProbe, AtLeastTheCallerReads) {
  BandwidthProbe probe(0);
  probe.measure(numbered_words(100), 1);
  EXPECT_EQ(probe.sum(), sum_to(100));
}

}  // namespace
}  // namespace csm
