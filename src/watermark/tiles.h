// A window of sound -> the energy of its tiles; two windows -> how they differ from what is usual around them.
//
// Place in the flow: shared by embedder and detector, so that both look at the same thing. One owner; not thread-safe.
#pragma once

#include <span>
#include <vector>

#include "watermark/fft.h"
#include "watermark/grid.h"

namespace csm::mark {

// The square root of a Hann window of two hops, periodic: its squares at half overlap sum to 1.
std::vector<float> sqrt_hann(size_t n);

// The spectrum of one window.
class Spectrum {
 public:
  explicit Spectrum(size_t hop);

  void analyse(std::span<const float> window);  // [2 * hop]
  // Energy of each tile in dB of a full-scale sine in that tile; kSilentDb at least. Tiles above the sound's own range have
  // kSilentDb.
  TileRow tile_db() const;
  // What the window gains by multiplying tile b by 1 + change[b]: added to out [2 * hop].
  void add_change(const TileRow& change, std::span<float> out);

 private:
  RealFft fft_;
  std::vector<float> window_, work_;  // [2 * hop]
  std::vector<float> re_, im_, change_re_, change_im_;
  float db_offset_ = 0;
};

inline constexpr float kSilentDb = -140;

// first - second, less the median over each tile's neighbours.
TileRow relative_difference(const TileRow& first, const TileRow& second);

}  // namespace csm::mark
