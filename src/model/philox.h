// Philox4x32-10: a counter-based random generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011).
//
// Place in the flow: noise of the sampler. The same counter and key give the same words on every machine, in any order
// and from any thread; there is no state.
#pragma once

#include <array>
#include <cstdint>

namespace csm {

inline std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplierA = 0xD2511F53u;
  constexpr uint64_t kMultiplierB = 0xCD9E8D57u;
  constexpr uint32_t kKeyStepA = 0x9E3779B9u;  // golden ratio
  constexpr uint32_t kKeyStepB = 0xBB67AE85u;  // sqrt(3) - 1
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = kMultiplierA * counter[0];
    const uint64_t b = kMultiplierB * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += kKeyStepA;
    key[1] += kKeyStepB;
  }
  return counter;
}

}  // namespace csm
