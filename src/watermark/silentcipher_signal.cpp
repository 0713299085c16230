#include "watermark/silentcipher_signal.h"

#include <array>
#include <cmath>
#include <utility>

namespace csm::cipher {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kPower = 0.002837200844477648;  // mean square of what the networks were trained on
constexpr size_t kPad = kCipherWindow / 2;

using Complex = std::complex<double>;
using Frame = std::array<Complex, kCipherWindow>;

struct Tables {
  std::array<double, kCipherWindow> window;
  std::array<Complex, kCipherWindow / 2> turns;  // exp(-2 pi i k / n)
};

const Tables& tables() {
  static const Tables made = [] {
    Tables t{};
    for (size_t i = 0; i < t.window.size(); ++i) t.window[i] = 0.5 - 0.5 * std::cos(2 * kPi * static_cast<double>(i) / kCipherWindow);
    for (size_t i = 0; i < t.turns.size(); ++i) t.turns[i] = std::polar(1.0, -2 * kPi * static_cast<double>(i) / kCipherWindow);
    return t;
  }();
  return made;
}

// In place, radix 2, in double precision so that nothing is lost before the networks.
void transform(Frame& x) {
  for (size_t i = 1, j = 0; i < x.size(); ++i) {
    size_t bit = x.size() >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  const Tables& t = tables();
  for (size_t length = 2; length <= x.size(); length *= 2) {
    const size_t half = length / 2, step = x.size() / length;
    for (size_t begin = 0; begin < x.size(); begin += length) {
      for (size_t k = 0; k < half; ++k) {
        const Complex a = x[begin + k], b = x[begin + k + half], w = t.turns[k * step];
        const Complex turned(b.real() * w.real() - b.imag() * w.imag(), b.real() * w.imag() + b.imag() * w.real());
        x[begin + k] = a + turned;
        x[begin + k + half] = a - turned;
      }
    }
  }
}

size_t padded_length(size_t n) { return n + kCipherWindow - n % kCipherWindow; }

}  // namespace

double cipher_gain(std::span<const float> samples) {
  double power = 0;
  for (const float sample : samples) power += static_cast<double>(sample) * sample;
  if (power == 0) return 0;
  return std::sqrt(kPower / (power / static_cast<double>(samples.size())));
}

CipherSpectrum cipher_spectrum(std::span<const float> samples, double gain) {
  const size_t length = padded_length(samples.size());
  CipherSpectrum spectrum;
  spectrum.n_samples = samples.size();
  spectrum.n_frames = static_cast<int>(length / kCipherHop) + 1;
  spectrum.values.resize(static_cast<size_t>(spectrum.n_frames) * kCipherBins);
  // Sample i of the sound with its ends reflected, i counted from half a window before it.
  const auto sample_at = [&](size_t i) {
    const size_t from = i < kPad ? kPad - i : i - kPad < length ? i - kPad : 2 * length - 2 - (i - kPad);
    return from < samples.size() ? static_cast<double>(samples[from]) * gain : 0.0;
  };
  Frame frame;
  for (int t = 0; t < spectrum.n_frames; ++t) {
    for (size_t i = 0; i < kCipherWindow; ++i) frame[i] = sample_at(static_cast<size_t>(t) * kCipherHop + i) * tables().window[i];
    transform(frame);
    for (int bin = 0; bin < kCipherBins; ++bin) spectrum.at(t, bin) = std::complex<float>(frame[static_cast<size_t>(bin)]);
  }
  return spectrum;
}

std::vector<float> cipher_samples(const CipherSpectrum& spectrum, double gain) {
  std::vector<double> sum(static_cast<size_t>(spectrum.n_frames - 1) * kCipherHop + kCipherWindow, 0.0);
  Frame frame;
  for (int t = 0; t < spectrum.n_frames; ++t) {
    // The inverse by the forward transform: of the conjugate, conjugated.
    for (size_t bin = 0; bin < kCipherWindow; ++bin) {
      const bool mirrored = bin >= kCipherBins;
      const Complex value(spectrum.at(t, static_cast<int>(mirrored ? kCipherWindow - bin : bin)));
      const bool is_real = bin == 0 || bin == kCipherBins - 1;
      frame[bin] = is_real ? Complex(value.real()) : mirrored ? value : std::conj(value);
    }
    transform(frame);
    for (size_t i = 0; i < kCipherWindow; ++i) {
      sum[static_cast<size_t>(t) * kCipherHop + i] += frame[i].real() / kCipherWindow * tables().window[i];
    }
  }
  std::vector<float> samples(spectrum.n_samples);
  for (size_t i = 0; i < samples.size(); ++i) {
    const size_t at = i + kPad;
    const double here = tables().window[at % kCipherHop], next = tables().window[at % kCipherHop + kCipherHop];
    samples[i] = static_cast<float>(sum[at] / (here * here + next * next) / gain);
  }
  return samples;
}

}  // namespace csm::cipher
