// What happens to speech in the world, in a few lines each: the attacks of the smoke test.
#pragma once

#include <functional>

#include "watermark_test.h"

namespace csm {

struct Attack {
  const char* name;
  std::function<Audio(const Audio&)> apply;
};

inline Audio scaled(Audio audio, float factor) {
  for (float& x : audio.samples) x *= factor;
  return audio;
}

// mu-law with 8 bits at 8 kHz: a telephone line.
inline Audio through_telephone(const Audio& audio) {
  Audio line = resample(audio, 8'000);
  for (float& x : line.samples) {
    const float sign = x < 0 ? -1.0f : 1.0f;
    const float code = std::round(127 * std::log1p(255 * std::min(1.0f, std::abs(x))) / std::log(256.0f)) / 127;
    x = sign * (std::pow(256.0f, code) - 1) / 255;
  }
  return line;
}

inline Audio with_echo(const Audio& audio, double delay_seconds, float level) {
  Audio out = audio;
  const auto delay = static_cast<size_t>(delay_seconds * audio.sample_rate_hz);
  for (size_t i = delay; i < out.samples.size(); ++i) out.samples[i] += level * audio.samples[i - delay];
  return scaled(std::move(out), 0.7f);
}

inline Audio quantised(Audio audio, int bits) {
  const auto steps = static_cast<float>(1 << (bits - 1));
  for (float& x : audio.samples) x = std::round(x * steps) / steps;
  return audio;
}

// Without what lies below about 500 Hz: a difference of samples, twice.
inline Audio without_lows(Audio audio) {
  const float keep = std::exp(-6.2831853f * 500 / static_cast<float>(audio.sample_rate_hz));
  for (int pass = 0; pass < 2; ++pass) {
    float before = 0, out = 0;
    for (float& x : audio.samples) {
      out = keep * (out + x - before);
      before = x;
      x = out;
    }
  }
  return audio;
}

inline Audio cut(const Audio& audio, double from_seconds, double to_seconds) {
  const auto at = [&](double s) { return audio.samples.begin() + static_cast<ptrdiff_t>(s * audio.sample_rate_hz); };
  return {{at(from_seconds), at(to_seconds)}, audio.sample_rate_hz};
}

inline Audio after_silence(const Audio& audio, double seconds) {
  Audio out = audio;
  out.samples.insert(out.samples.begin(), static_cast<size_t>(seconds * audio.sample_rate_hz), 0.0f);
  return out;
}

inline std::vector<Attack> attacks() {
  return {{"none", [](const Audio& a) { return a; }},
          {"gain -12 dB", [](const Audio& a) { return scaled(a, 0.25f); }},
          {"44.1 kHz", [](const Audio& a) { return resample(a, 44'100); }},
          {"16 kHz", [](const Audio& a) { return resample(a, 16'000); }},
          {"telephone", through_telephone},
          {"8 bit", [](const Audio& a) { return quantised(a, 8); }},
          {"no lows", without_lows},
          {"noise 30 dB", [](const Audio& a) { return with_noise(a, 30, 1); }},
          {"echo 100 ms", [](const Audio& a) { return with_echo(a, 0.1, 0.3f); }},
          {"cut to half", [](const Audio& a) { return cut(a, a.seconds() * 0.31, a.seconds() * 0.81); }},
          {"silence before", [](const Audio& a) { return after_silence(a, 0.7171); }}};
}

}  // namespace csm
