// What SilentCipher sees of a sound: its short-time spectrum at 44.1 kHz, and the way back.
//
// 4096 samples a frame, every 2048, periodic Hann window, reflected ends; the sound is brought to a fixed power before and zeros are
// appended up to a whole number of frames.
//
// Place in the flow: samples -> (here) -> silentcipher_network -> (here) -> samples. Stateless; any thread.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace csm::cipher {

inline constexpr int kCipherRateHz = 44'100;
inline constexpr int kCipherWindow = 4096;
inline constexpr int kCipherHop = 2048;
inline constexpr int kCipherBins = 2049;

// [frame][bin]
struct CipherSpectrum {
  int n_frames = 0;
  size_t n_samples = 0;  // of the sound, without appended zeros
  std::vector<std::complex<float>> values;

  std::complex<float>& at(int frame, int bin) { return values[static_cast<size_t>(frame) * kCipherBins + static_cast<size_t>(bin)]; }
  const std::complex<float>& at(int frame, int bin) const {
    return values[static_cast<size_t>(frame) * kCipherBins + static_cast<size_t>(bin)];
  }
};

// What samples must be multiplied by to have the power that the networks were trained on; 0 for silence.
double cipher_gain(std::span<const float> samples);

// Of samples * gain. At least one sample.
CipherSpectrum cipher_spectrum(std::span<const float> samples, double gain);

// The samples / gain.
std::vector<float> cipher_samples(const CipherSpectrum& spectrum, double gain);

}  // namespace csm::cipher
