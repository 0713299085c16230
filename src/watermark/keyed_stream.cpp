#include "watermark/keyed_stream.h"

namespace csm::mark {
namespace {

uint32_t rotate(uint32_t value, int bits) { return (value << bits) | (value >> (32 - bits)); }

void quarter_round(std::array<uint32_t, 16>& x, size_t a, size_t b, size_t c, size_t d) {
  x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
  x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
  x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
  x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

uint32_t word_at(const uint8_t* bytes) {
  return uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

}  // namespace

std::array<uint8_t, 64> chacha20_block(const KeyBytes& key, const StreamLabel& nonce, uint32_t counter) {
  std::array<uint32_t, 16> start = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  for (size_t i = 0; i < 8; ++i) start[4 + i] = word_at(&key[4 * i]);
  start[12] = counter;
  for (size_t i = 0; i < 3; ++i) start[13 + i] = word_at(&nonce[4 * i]);
  std::array<uint32_t, 16> x = start;
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < 4; ++i) quarter_round(x, i, 4 + i, 8 + i, 12 + i);
    for (size_t i = 0; i < 4; ++i) quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  std::array<uint8_t, 64> out{};
  for (size_t i = 0; i < 64; ++i) out[i] = static_cast<uint8_t>((x[i / 4] + start[i / 4]) >> (8 * (i % 4)));
  return out;
}

uint8_t KeyedStream::byte() {
  if (used_ == block_.size()) {
    block_ = chacha20_block(key_, label_, counter_++);
    used_ = 0;
  }
  return block_[used_++];
}

uint16_t KeyedStream::word() {
  const uint8_t low = byte();
  return static_cast<uint16_t>(low | byte() << 8);
}

uint16_t KeyedStream::below(uint16_t end) {
  const uint32_t fair = 0x10000u - 0x10000u % end;  // words from here on would favour the small numbers
  for (;;) {
    const uint16_t drawn = word();
    if (drawn < fair) return static_cast<uint16_t>(drawn % end);
  }
}

}  // namespace csm::mark
