// 32 bits of payload <-> 224 coded bits: a checksum, then a convolutional code that soft decisions decode.
//
// Place in the flow: payload -> coded bits -> pattern, and back from soft bits. CRC-16 (polynomial 0x1021, start 0xFFFF),
// XORed with a mask from the key; zero tail; constraint length 9, rate 1/4, generators 463, 535, 733, 745 (octal), which
// all begin and end in 1. Coded bits are signs: +1 for 0, -1 for 1. SoftDecoder owns its work space: not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace csm::mark {

inline constexpr size_t kInfoBits = 32 + 16;
inline constexpr size_t kTailBits = 8;
inline constexpr size_t kSteps = kInfoBits + kTailBits;
inline constexpr size_t kCodedPerStep = 4;
inline constexpr size_t kCodedBits = kSteps * kCodedPerStep;
inline constexpr size_t kStates = size_t{1} << kTailBits;

using CodedBits = std::array<float, kCodedBits>;  // signs, or soft values

uint16_t crc16(uint32_t payload);
CodedBits encode_payload(uint32_t payload, uint16_t crc_mask);

class SoftDecoder {
 public:
  SoftDecoder();

  // The greatest correlation that any path through the code has with the soft bits.
  float best_metric(const CodedBits& soft);
  // Of the `n_paths` best paths the first whose checksum is right, if any.
  std::optional<uint32_t> decode(const CodedBits& soft, uint16_t crc_mask, size_t n_paths);

 private:
  struct Survivor {
    float metric;
    uint16_t rank;   // which of the predecessor's survivors
    bool from_high;  // which of the two predecessors
  };
  void branch_metrics(const CodedBits& soft, size_t step);
  void extend(size_t step);
  Survivor* survivors(size_t step, size_t state) { return &survivors_[(step * kStates + state) * n_paths_]; }
  std::optional<uint32_t> trace_back(size_t rank, uint16_t crc_mask);

  // Of the branch that brings a 0 into the lower of two states that differ in their oldest bit. A 1, or the higher state,
  // turns every sign.
  std::array<std::array<float, kStates / 2>, kCodedPerStep> signs_{};
  std::array<float, kStates / 2> branch_{};
  std::array<float, kStates> metric_{}, next_metric_{};
  size_t n_paths_ = 0;
  std::vector<Survivor> survivors_;  // [kSteps + 1, kStates, n_paths], best first
};

}  // namespace csm::mark
