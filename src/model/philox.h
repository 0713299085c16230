// Philox4x32-10: a counter-based random generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011).
//
// Place in the flow: noise of the sampler. The same counter and key give the same words on every machine, in any order
// and from any thread; there is no state.
#pragma once

#include <array>
#include <cstdint>

namespace csm {

inline constexpr uint64_t kPhiloxMultiplierA = 0xD2511F53u;
inline constexpr uint64_t kPhiloxMultiplierB = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxKeyStepA = 0x9E3779B9u;  // golden ratio
inline constexpr uint32_t kPhiloxKeyStepB = 0xBB67AE85u;  // sqrt(3) - 1
inline constexpr int kPhiloxRounds = 10;

inline std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t a = kPhiloxMultiplierA * counter[0];
    const uint64_t b = kPhiloxMultiplierB * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += kPhiloxKeyStepA;
    key[1] += kPhiloxKeyStepB;
  }
  return counter;
}

}  // namespace csm
