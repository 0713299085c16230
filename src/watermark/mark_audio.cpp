// Marking sound that is there as a whole: values and files, any rate, any number of channels.
#include <algorithm>
#include <cmath>

#include <csm/watermark.h>

#include "audio/audio_io.h"
#include "base/fail.h"
#include "watermark/grid.h"

namespace csm {

using namespace mark;

namespace {

std::vector<float> embed(const std::vector<float>& samples, int sample_rate_hz, const WatermarkOptions& options,
                         WatermarkStats& stats) {
  WatermarkEmbedder embedder(options, sample_rate_hz);
  std::vector<float> out;
  out.reserve(samples.size());
  embedder.push(samples.data(), samples.size(), out);
  embedder.finish(out);
  stats = embedder.stats();
  return out;
}

// Rates that hops do not divide: what marking changes at the grid's own rate is brought to this one and added.
std::vector<float> embed_change(const std::vector<float>& samples, int sample_rate_hz, const WatermarkOptions& options,
                                WatermarkStats& stats) {
  const Audio plain = resample({samples, sample_rate_hz}, kGridRateHz);
  Audio change = {embed(plain.samples, kGridRateHz, options, stats), kGridRateHz};
  for (size_t i = 0; i < change.samples.size(); ++i) change.samples[i] -= plain.samples[i];
  const Audio added = resample(change, sample_rate_hz);
  std::vector<float> out = samples;
  for (size_t i = 0; i < std::min(out.size(), added.samples.size()); ++i) {
    const float most = std::max(0.99f, std::abs(out[i]));
    if (out[i] != 0) out[i] = std::clamp(out[i] + added.samples[i], -most, most);
  }
  return out;
}

std::vector<float> mark_channel(const std::vector<float>& samples, int sample_rate_hz, const WatermarkOptions& options,
                                WatermarkStats& stats) {
  const bool fits = sample_rate_hz % kHopsPerSecond == 0;
  return fits ? embed(samples, sample_rate_hz, options, stats)
              : embed_change(samples, sample_rate_hz, options, stats);
}

}  // namespace

Audio mark_audio(const Audio& audio, const WatermarkOptions& options) {
  WatermarkStats stats;
  return {mark_channel(audio.samples, audio.sample_rate_hz, options, stats), audio.sample_rate_hz};
}

WatermarkStats mark_audio_file(const std::string& from, const std::string& to, const WatermarkOptions& options,
                               SampleFormat format) {
  ChannelAudio sound = read_audio_channels(from);
  WatermarkStats stats;
  for (std::vector<float>& channel : sound.channels) {
    WatermarkStats of_channel;
    channel = mark_channel(channel, sound.sample_rate_hz, options, of_channel);
    if (!stats.embedded) stats = of_channel;  // of the first that holds sound
  }
  write_audio_channels(to, sound, format);
  return stats;
}

}  // namespace csm
