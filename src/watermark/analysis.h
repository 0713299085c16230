// Sound of unknown alignment -> scores of chips for each alignment: what the keys are then correlated with.
//
// Place in the flow: detector only. No key is known here, so several keys share one analysis. Values; any thread. What a
// score is: the difference of a chip's two windows less what is usual around it, limited so that jumps of the sound count
// little, weighted down where the sound is quiet or no louder than its noise.
#pragma once

#include <span>
#include <vector>

#include "watermark/grid.h"
#include "watermark/tiles.h"

namespace csm::mark {

inline constexpr size_t kOffsets = 8;  // places in a hop where its beginning is looked for
inline constexpr size_t kOffsetSamples = kHop / kOffsets;
inline constexpr size_t kAlignments = 2 * kOffsets;  // a chip begins at this many places in its two hops

// Chip c of a sound begins (with its first window) at sample alignment * kOffsetSamples + (c * 2 - 2) * kHop.
size_t count_chips(size_t n_samples);

// What is loud in a sound, and what is its noise: chips between them count most.
struct SoundLevels {
  explicit SoundLevels(std::span<const float> sound);

  float loud_db = kSilentDb;  // 2 % of all tiles exceed it
  TileRow floor_db{};         // of each tile: 85 % of the windows exceed it
};

// Scores of the chips from first_chip on, at every alignment. levels: those of the whole sound.
class ChipScores {
 public:
  ChipScores(std::span<const float> sound, size_t first_chip, size_t n_chips, const SoundLevels& levels);

  size_t n_chips() const { return scores_[0].size(); }
  const TileRow& chip(size_t alignment, size_t index) const { return scores_[alignment][index]; }

 private:
  std::array<std::vector<TileRow>, kAlignments> scores_;
};

// The same at one alignment, all chips.
std::vector<TileRow> chip_scores_at(std::span<const float> sound, size_t alignment, const SoundLevels& levels);

}  // namespace csm::mark
