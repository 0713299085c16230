#include "engine/bench_mark.h"

#include <cmath>
#include <cstdint>

#include "engine/stopwatch.h"

namespace csm {
namespace {

constexpr int kRateHz = 24'000;
constexpr size_t kFrameSamples = 1'920;

// Noise whose level rises and falls as that of syllables does: no tile is silent, so nothing is skipped.
Audio syllables_of_noise() {
  Audio sound;
  sound.sample_rate_hz = kRateHz;
  const auto n = static_cast<size_t>(MarkBench::kSearchedSeconds * kRateHz);
  uint32_t state = 1;
  float smooth = 0;
  for (size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' generator
    smooth += 0.3f * (static_cast<float>(static_cast<int32_t>(state)) / 2147483648.0f - smooth);
    const float level = 0.4f + 0.35f * std::sin(6.2831853f * 4 * static_cast<float>(i) / kRateHz);
    sound.samples.push_back(level * smooth);
  }
  return sound;
}

}  // namespace

MarkBench::MarkBench() : sound_(syllables_of_noise()), embedder_(WatermarkOptions(), kRateHz) {
  marked_.reserve(sound_.samples.size());
}

double MarkBench::embed_ms() {
  marked_.clear();
  const size_t n_frames = sound_.samples.size() / kFrameSamples;
  const Stopwatch watch;
  for (size_t i = 0; i < n_frames; ++i) embedder_.push(&sound_.samples[i * kFrameSamples], kFrameSamples, marked_);
  const double ms = watch.ms() / static_cast<double>(n_frames);
  embedder_.finish(marked_);
  return ms;
}

double MarkBench::find_ms() {
  const Stopwatch watch;
  find_watermark(sound_, WatermarkSearch());
  return watch.ms();
}

}  // namespace csm
