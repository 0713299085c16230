#include "watermark/regions.h"

#include <algorithm>
#include <cmath>

namespace csm::mark {
namespace {

constexpr size_t kHalfSpan = 12;     // chips on either side of the one that is judged: about a second in all
constexpr double kClearlyAbove = 3;  // standard deviations
constexpr size_t kShortestRun = 8;   // chips
constexpr double kTouchSeconds = 0.5;

struct Sums {
  double product = 0;
  double square = 0;
};

}  // namespace

std::vector<ChipRange> marked_runs(std::span<const TileRow> scores, const Pattern& chips, size_t shift,
                                   ChipRange range) {
  range.end = std::min(range.end, scores.size());
  std::vector<Sums> before(1);  // running sums over the chips so far
  for (size_t c = range.begin; c < range.end; ++c) {
    Sums sums = before.back();
    const float* signs = &chips[(c + shift) % kPeriod * kTiles];
    for (size_t tile = 0; tile < kTiles; ++tile) {
      sums.product += static_cast<double>(signs[tile] * scores[c][tile]);
      sums.square += static_cast<double>(scores[c][tile] * scores[c][tile]);
    }
    before.push_back(sums);
  }
  std::vector<ChipRange> runs;
  const size_t n = before.size() - 1;
  for (size_t c = 0; c < n; ++c) {
    const Sums& from = before[c < kHalfSpan ? 0 : c - kHalfSpan];
    const Sums& to = before[std::min(n, c + kHalfSpan + 1)];
    const double square = to.square - from.square;
    if (square <= 0 || (to.product - from.product) / std::sqrt(square) < kClearlyAbove) continue;
    const size_t chip = range.begin + c;
    if (!runs.empty() && runs.back().end == chip) {
      runs.back().end = chip + 1;
    } else {
      runs.push_back({chip, chip + 1});
    }
  }
  const auto is_short = [](const ChipRange& run) { return run.end - run.begin < kShortestRun; };
  runs.erase(std::remove_if(runs.begin(), runs.end(), is_short), runs.end());
  return runs;
}

std::vector<WatermarkRegion> merge_regions(std::vector<WatermarkRegion> regions) {
  std::sort(regions.begin(), regions.end(),
            [](const WatermarkRegion& a, const WatermarkRegion& b) { return a.begin_seconds < b.begin_seconds; });
  std::vector<WatermarkRegion> merged;
  for (const WatermarkRegion& region : regions) {
    const auto touches = [&](const WatermarkRegion& other) {
      return other.payload == region.payload && region.begin_seconds <= other.end_seconds + kTouchSeconds;
    };
    const auto found = std::find_if(merged.begin(), merged.end(), touches);
    if (found == merged.end()) {
      merged.push_back(region);
    } else {
      found->end_seconds = std::max(found->end_seconds, region.end_seconds);
    }
  }
  return merged;
}

}  // namespace csm::mark
