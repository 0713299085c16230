#include "watermark/pattern.h"

#include <numeric>
#include <utility>

namespace csm::mark {
namespace {

constexpr StreamLabel kPatternLabel = {'c', 's', 'm', ' ', 'm', 'a', 'r', 'k', ' ', 'v', '1', 0};

}  // namespace

// Every coded bit comes once in each run of kCodedBits cells (about 130 ms), in an order of its own in each run.
KeyPattern::KeyPattern(const KeyBytes& key) {
  KeyedStream stream(key, kPatternLabel);
  crc_mask_ = stream.word();
  for (size_t cell = 0; cell < kCells; cell += 8) {
    const uint8_t byte = stream.byte();
    for (size_t bit = 0; bit < 8; ++bit) signs_[cell + bit] = (byte >> bit & 1) != 0 ? -1.0f : 1.0f;
  }
  std::array<uint8_t, kCodedBits> order{};
  for (size_t cell = 0; cell < kCells; ++cell) {
    if (cell % kCodedBits == 0) {
      std::iota(order.begin(), order.end(), uint8_t{0});
      for (size_t i = kCodedBits - 1; i > 0; --i) std::swap(order[i], order[stream.below(static_cast<uint16_t>(i + 1))]);
    }
    bits_[cell] = order[cell % kCodedBits];
  }
}

Pattern KeyPattern::chips(uint32_t payload) const {
  const CodedBits coded = encode_payload(payload, crc_mask_);
  Pattern chips{};
  for (size_t cell = 0; cell < kCells; ++cell) chips[cell] = signs_[cell] * coded[bits_[cell]];
  return chips;
}

void KeyPattern::gather(const float* scores, size_t row, CodedBits& soft) const {
  const float* signs = &signs_[row * kTiles];
  const uint8_t* bits = &bits_[row * kTiles];
  for (size_t tile = 0; tile < kTiles; ++tile) soft[bits[tile]] += signs[tile] * scores[tile];
}

}  // namespace csm::mark
