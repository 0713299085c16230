#include "base/damage_digest.h"

#include <algorithm>
#include <cstring>

namespace csm {
namespace {

// Odd, so that multiplying loses nothing: of two inputs that differ in one word, the lane of that word always differs.
constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
constexpr size_t kLanes = 8;  // independent chains, so that the processor need not wait for one product after the other
constexpr size_t kBlockBytes = kLanes * sizeof(uint64_t);

uint64_t step(uint64_t lane, uint64_t word) {
  const uint64_t product = (lane ^ word) * kFactor;
  return product << 31 | product >> 33;
}

}  // namespace

uint64_t damage_digest(std::span<const std::byte> bytes) {
  uint64_t lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = kFactor * (i + 1);
  uint64_t words[kLanes];
  const std::byte* next = bytes.data();
  size_t left = bytes.size();
  for (; left >= kBlockBytes; left -= kBlockBytes, next += kBlockBytes) {
    std::memcpy(words, next, kBlockBytes);
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = step(lanes[i], words[i]);
  }
  if (left > 0) {
    std::fill(std::begin(words), std::end(words), uint64_t{0});
    std::memcpy(words, next, left);
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = step(lanes[i], words[i]);
  }
  uint64_t digest = bytes.size();
  for (const uint64_t lane : lanes) digest = step(digest, lane);
  return digest ^ digest >> 29;
}

uint64_t damage_digest(const std::string& text) { return damage_digest(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace csm
