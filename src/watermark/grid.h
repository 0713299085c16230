// The grid of the mark in time and frequency: what the embedder and the detector must agree on.
//
// Place in the flow: samples -> windows of two hops -> tiles of 100 Hz -> chips. A hop is 20 ms and a window 40 ms at
// every sample rate, so a spectrum line is 25 Hz everywhere. A chip is one tile over two consecutive windows, the first
// raised and the second lowered (or the other way round), and the pattern of chips repeats every 64 of them. Constants.
#pragma once

#include <array>
#include <cstddef>

namespace csm::mark {

inline constexpr int kHopsPerSecond = 50;
inline constexpr int kLineHz = 25;
inline constexpr int kGridRateHz = 24'000;                     // the detector's rate
inline constexpr int kHop = kGridRateHz / kHopsPerSecond;      // at that rate
inline constexpr int kTileLines = 4;
inline constexpr int kFirstLine = 300 / kLineHz;
inline constexpr size_t kTiles = 69;                           // 300 to 7200 Hz
inline constexpr size_t kPeriod = 64;                          // chips: 2.56 s
inline constexpr size_t kCells = kPeriod * kTiles;
inline constexpr size_t kNeighbours = 4;                       // tiles on either side that say what is usual

// One value for each tile; one for each cell of the period, [kPeriod, kTiles].
using TileRow = std::array<float, kTiles>;
using Pattern = std::array<float, kCells>;

}  // namespace csm::mark
