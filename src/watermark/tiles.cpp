#include "watermark/tiles.h"

#include <algorithm>
#include <cmath>

namespace csm::mark {
namespace {

constexpr float kTwoPi = 6.2831853071795865f;
constexpr size_t kSpan = 2 * kNeighbours + 1;

}  // namespace

std::vector<float> sqrt_hann(size_t n) {
  std::vector<float> window(n);
  for (size_t i = 0; i < n; ++i) window[i] = std::sin(kTwoPi / 2 * static_cast<float>(i) / static_cast<float>(n));
  return window;
}

Spectrum::Spectrum(size_t hop)
    : fft_(2 * hop), window_(sqrt_hann(2 * hop)), work_(2 * hop), re_(hop + 1), im_(hop + 1), change_re_(hop + 1),
      change_im_(hop + 1) {
  // A sine of full scale in the middle of a line: amplitude (sum of the window) / 2 there.
  float sum = 0;
  for (const float w : window_) sum += w;
  db_offset_ = 20 * std::log10(sum / 2);
}

void Spectrum::analyse(std::span<const float> window) {
  for (size_t i = 0; i < window_.size(); ++i) work_[i] = window[i] * window_[i];
  fft_.forward(work_, re_, im_);
}

TileRow Spectrum::tile_db() const {
  TileRow db;
  for (size_t tile = 0; tile < kTiles; ++tile) {
    const size_t first = kFirstLine + tile * kTileLines;
    float energy = 0;
    for (size_t line = first; line < first + kTileLines && line < re_.size(); ++line) {
      energy += re_[line] * re_[line] + im_[line] * im_[line];
    }
    const float level = energy > 0 ? 10 * std::log10(energy) - db_offset_ : kSilentDb;
    db[tile] = std::max(level, kSilentDb);
  }
  return db;
}

void Spectrum::add_change(const TileRow& change, std::span<float> out) {
  std::fill(change_re_.begin(), change_re_.end(), 0.0f);
  std::fill(change_im_.begin(), change_im_.end(), 0.0f);
  for (size_t tile = 0; tile < kTiles; ++tile) {
    const size_t first = kFirstLine + tile * kTileLines;
    for (size_t line = first; line < first + kTileLines && line < re_.size(); ++line) {
      change_re_[line] = re_[line] * change[tile];
      change_im_[line] = im_[line] * change[tile];
    }
  }
  fft_.inverse(change_re_, change_im_, work_);
  for (size_t i = 0; i < work_.size(); ++i) out[i] += work_[i] * window_[i];
}

TileRow relative_difference(const TileRow& first, const TileRow& second) {
  TileRow raw;
  for (size_t tile = 0; tile < kTiles; ++tile) raw[tile] = first[tile] - second[tile];
  TileRow relative;
  std::array<float, kSpan> around;
  for (size_t tile = 0; tile < kTiles; ++tile) {
    const size_t from = tile < kNeighbours ? 0 : tile - kNeighbours;
    const size_t to = std::min(kTiles, tile + kNeighbours + 1);
    const auto end = std::copy(&raw[from], &raw[from] + (to - from), around.begin());
    const auto middle = around.begin() + (end - around.begin()) / 2;
    std::nth_element(around.begin(), middle, end);
    relative[tile] = raw[tile] - *middle;
  }
  return relative;
}

}  // namespace csm::mark
