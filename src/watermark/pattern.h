// What a key makes of the grid: a sign for every chip of the period, and which coded bit it carries.
//
// Place in the flow: key -> pattern -> embedder and detector. Immutable once made; may be shared between threads.
#pragma once

#include <cstdint>

#include "watermark/grid.h"
#include "watermark/keyed_stream.h"
#include "watermark/payload_code.h"

namespace csm::mark {

class KeyPattern {
 public:
  explicit KeyPattern(const KeyBytes& key);

  // The signs of all chips for a payload.
  Pattern chips(uint32_t payload) const;
  // The coded bits as one row of chips saw them: the row's scores, each with its sign, added to the bit it carries.
  void gather(const float* scores, size_t row, CodedBits& soft) const;
  uint16_t crc_mask() const { return crc_mask_; }

 private:
  Pattern signs_{};
  std::array<uint8_t, kCells> bits_{};  // the coded bit of each cell
  uint16_t crc_mask_ = 0;
};

}  // namespace csm::mark
