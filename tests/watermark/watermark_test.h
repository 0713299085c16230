// Sound for the tests of the mark: speech of the golden data, and attacks that need no other program.
#pragma once

#include <csm/audio.h>
#include <csm/watermark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace csm {

constexpr int kTestRateHz = 24'000;

// Voiced and unvoiced stretches with pauses: glottal pulses through three moving resonances, syllable by syllable.
inline Audio speech_like(double seconds, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0, 1);
  Audio audio;
  audio.sample_rate_hz = kTestRateHz;
  const auto n = static_cast<size_t>(seconds * kTestRateHz);
  struct Resonance {
    float hz, width_hz, y1 = 0, y2 = 0;
  } resonances[] = {{600, 80}, {1400, 110}, {2600, 160}, {4200, 300}};
  float phase = 0, level = 0, target = 0;
  float pitch_hz = 110 + 60 * uniform(random);
  float voicing = 1;
  for (size_t i = 0; i < n; ++i) {
    if (i % 3'600 == 0) {  // a syllable or a pause every 150 ms
      target = uniform(random) < 0.15f ? 0.0f : 0.4f + 0.6f * uniform(random);
      voicing = uniform(random) < 0.75f ? 1.0f : 0.1f;
      pitch_hz *= 0.95f + 0.1f * uniform(random);
      resonances[0].hz = 300 + 500 * uniform(random);
      resonances[1].hz = 900 + 1300 * uniform(random);
      resonances[2].hz = 2300 + 700 * uniform(random);
    }
    level += (target - level) * 0.002f;
    phase += pitch_hz / kTestRateHz;
    float source = 0.02f * normal(random) * (2 - voicing) * 2;
    if (phase >= 1) {
      phase -= 1;
      source += 3 * voicing;
    }
    float out = 0;
    for (Resonance& r : resonances) {
      const float radius = std::exp(-3.14159265f * r.width_hz / kTestRateHz);
      const float y = source + 2 * radius * std::cos(6.2831853f * r.hz / kTestRateHz) * r.y1 - radius * radius * r.y2;
      r.y2 = r.y1;
      r.y1 = y;
      out += y;
    }
    audio.samples.push_back(level * out);
  }
  float peak = 1e-9f;
  for (const float x : audio.samples) peak = std::max(peak, std::abs(x));
  for (float& x : audio.samples) x *= 0.7f / peak;
  return audio;
}

inline WatermarkKey test_key(uint32_t number) {
  WatermarkKey key;
  key.name = "test " + std::to_string(number);
  for (size_t i = 0; i < 4; ++i) key.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  key.bytes[31] = 0xA5;
  return key;
}

inline double rms(const std::vector<float>& samples) {
  double sum = 0;
  for (const float x : samples) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum / static_cast<double>(std::max<size_t>(1, samples.size())));
}

inline Audio with_noise(Audio audio, double snr_db, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(rms(audio.samples) * std::pow(10, -snr_db / 20)));
  for (float& x : audio.samples) x += normal(random);
  return audio;
}

}  // namespace csm
