#include "watermark/strength.h"

#include <algorithm>
#include <cmath>

#include "watermark/tiles.h"

namespace csm::mark {
namespace {

constexpr float kInaudibleDb = -75;  // quieter tiles carry nothing
constexpr float kJumpDb = 6;

}  // namespace

Strength strength_of(WatermarkPreset preset) {
  switch (preset) {
    case WatermarkPreset::kQuiet:
      return {1.2f, 1.5f, 8};
    case WatermarkPreset::kNormal:
      return {1.9f, 1.9f, 12};
    case WatermarkPreset::kStrong:
      return {3, 2.5f, 6};
  }
  return {1.9f, 1.9f, 12};
}

TileRow chip_changes(const Strength& strength, const float* signs, const TileRow& first_db, const TileRow& second_db) {
  const TileRow difference = relative_difference(first_db, second_db);
  TileRow changes{};
  for (size_t tile = 0; tile < kTiles; ++tile) {
    if (std::max(first_db[tile], second_db[tile]) < kInaudibleDb) continue;
    const float agreement = signs[tile] * difference[tile];
    const float wanted = std::clamp((strength.margin_db - agreement) / 2, 0.0f, strength.most_db);
    const float jump = std::max(std::abs(agreement) - kJumpDb, 0.0f) / strength.onset_db;
    changes[tile] = signs[tile] * wanted / (1 + jump * jump);
  }
  return changes;
}

}  // namespace csm::mark
