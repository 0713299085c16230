// How far a chip may go: from what the sound is like to a level change in dB.
//
// Place in the flow: embedder only. The embedder knows the sound, so it pushes only where the sound opposes the sign that
// is wanted or leaves it open, and gives up where the sound itself jumps. Values; any thread.
#pragma once

#include <csm/watermark.h>

#include "watermark/grid.h"

namespace csm::mark {

struct Strength {
  float margin_db = 0;  // the difference that is wanted
  float most_db = 0;    // a change never goes beyond this
  float onset_db = 0;   // how fast it gives up where the sound jumps by more than 6 dB
};

Strength strength_of(WatermarkPreset preset);

// For each tile the change of the first window in dB; the second gets the opposite. signs [kTiles]: what is wanted.
TileRow chip_changes(const Strength& strength, const float* signs, const TileRow& first_db, const TileRow& second_db);

}  // namespace csm::mark
