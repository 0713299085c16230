#include "watermark/analysis.h"

#include <algorithm>
#include <cmath>

namespace csm::mark {
namespace {

constexpr float kLimiterDb = 4;       // differences beyond this count less and less
constexpr float kFullWeightDb = -30;  // relative to the loud level
constexpr float kNoWeightDb = -50;
constexpr float kAboveFloorDb = 6;    // relative to the tile's floor
constexpr float kAtFloorDb = -3;
constexpr double kLoudShare = 0.98;
constexpr double kFloorShare = 0.15;

// The window that begins at sample `begin`, which may lie before the sound or reach beyond it.
void cut_window(std::span<const float> sound, ptrdiff_t begin, std::vector<float>& window) {
  const auto n = static_cast<ptrdiff_t>(sound.size());
  for (size_t i = 0; i < window.size(); ++i) {
    const ptrdiff_t at = begin + static_cast<ptrdiff_t>(i);
    window[i] = at >= 0 && at < n ? sound[static_cast<size_t>(at)] : 0.0f;
  }
}

float ramp(float value, float from, float to) { return std::clamp((value - from) / (to - from), 0.0f, 1.0f); }

TileRow score(const TileRow& first, const TileRow& second, const SoundLevels& levels) {
  TileRow scores = relative_difference(first, second);
  for (size_t tile = 0; tile < kTiles; ++tile) {
    const float limit = scores[tile] / kLimiterDb;
    const float level = (first[tile] + second[tile]) / 2;
    const float weight = ramp(level - levels.loud_db, kNoWeightDb, kFullWeightDb) *
                         ramp(level - levels.floor_db[tile], kAtFloorDb, kAboveFloorDb);
    scores[tile] *= weight / (1 + limit * limit);
  }
  return scores;
}

// Tile levels of windows a hop apart. Window w begins at sample offset * kOffsetSamples + (w - 2) * kHop.
std::vector<TileRow> levels_at(std::span<const float> sound, size_t offset, size_t first, size_t n, Spectrum& spectrum) {
  std::vector<float> window(2 * kHop);
  std::vector<TileRow> levels;
  levels.reserve(n);
  for (size_t w = first; w < first + n; ++w) {
    const auto begin = static_cast<ptrdiff_t>(offset * kOffsetSamples + w * kHop) - 2 * kHop;
    cut_window(sound, begin, window);
    spectrum.analyse(window);
    levels.push_back(spectrum.tile_db());
  }
  return levels;
}

// A chip for every second window, beginning with the one of this parity.
std::vector<TileRow> pair_up(const std::vector<TileRow>& levels, size_t parity, size_t n_chips, const SoundLevels& sound_levels) {
  std::vector<TileRow> chips;
  chips.reserve(n_chips);
  for (size_t c = 0; c < n_chips; ++c) {
    chips.push_back(score(levels[2 * c + parity], levels[2 * c + parity + 1], sound_levels));
  }
  return chips;
}

}  // namespace

size_t count_chips(size_t n_samples) { return n_samples / (2 * kHop) + 2; }

ChipScores::ChipScores(std::span<const float> sound, size_t first_chip, size_t n_chips, const SoundLevels& sound_levels) {
  Spectrum spectrum(kHop);
  for (size_t offset = 0; offset < kOffsets; ++offset) {
    const auto levels = levels_at(sound, offset, 2 * first_chip, 2 * n_chips + 1, spectrum);
    for (size_t parity = 0; parity < 2; ++parity) {
      scores_[parity * kOffsets + offset] = pair_up(levels, parity, n_chips, sound_levels);
    }
  }
}

std::vector<TileRow> chip_scores_at(std::span<const float> sound, size_t alignment, const SoundLevels& sound_levels) {
  Spectrum spectrum(kHop);
  const size_t n_chips = count_chips(sound.size());
  const auto levels = levels_at(sound, alignment % kOffsets, 0, 2 * n_chips + 1, spectrum);
  return pair_up(levels, alignment / kOffsets, n_chips, sound_levels);
}

SoundLevels::SoundLevels(std::span<const float> sound) {
  Spectrum spectrum(kHop);
  const auto levels = levels_at(sound, 0, 0, 2 * count_chips(sound.size()), spectrum);
  const auto at_share = [](std::vector<float>& values, double share) {
    const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  std::vector<float> all, of_tile(levels.size());
  all.reserve(levels.size() * kTiles);
  for (const TileRow& row : levels) all.insert(all.end(), row.begin(), row.end());
  loud_db = at_share(all, kLoudShare);
  for (size_t tile = 0; tile < kTiles; ++tile) {
    std::transform(levels.begin(), levels.end(), of_tile.begin(), [&](const TileRow& row) { return row[tile]; });
    floor_db[tile] = at_share(of_tile, kFloorShare);
  }
}

}  // namespace csm::mark
