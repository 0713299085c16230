// Where in a sound a mark is, once it is known what to look for.
//
// Place in the flow: detector, after a match. Values; any thread.
#pragma once

#include <span>
#include <vector>

#include <csm/watermark.h>

#include "watermark/correlate.h"

namespace csm::mark {

struct ChipRange {
  size_t begin = 0;
  size_t end = 0;
};

// Runs of chips, within `range`, over which the correlation of about a second stays clearly above chance. chips: the
// pattern of the match's payload.
std::vector<ChipRange> marked_runs(std::span<const TileRow> scores, const Pattern& chips, size_t shift, ChipRange range);

// Regions of one payload that touch become one; sorted by their beginning.
std::vector<WatermarkRegion> merge_regions(std::vector<WatermarkRegion> regions);

}  // namespace csm::mark
