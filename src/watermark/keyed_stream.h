// The keyed stream of bits that a pattern is drawn from: ChaCha20 (RFC 8439) under a label.
//
// Place in the flow: key -> keyed stream -> pattern. One owner; not thread-safe. The same key and label give the same
// bits on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace csm::mark {

using KeyBytes = std::array<uint8_t, 32>;
using StreamLabel = std::array<uint8_t, 12>;  // the nonce: what these bits are for, and in which version

// One block of the key stream.
std::array<uint8_t, 64> chacha20_block(const KeyBytes& key, const StreamLabel& nonce, uint32_t counter);

class KeyedStream {
 public:
  KeyedStream(const KeyBytes& key, const StreamLabel& label) : key_(key), label_(label) {}

  uint8_t byte();
  uint16_t word();               // two bytes, the lower one first
  uint16_t below(uint16_t end);  // uniform in [0, end)

 private:
  KeyBytes key_;
  StreamLabel label_;
  uint32_t counter_ = 0;
  std::array<uint8_t, 64> block_{};
  size_t used_ = 64;
};

}  // namespace csm::mark
