// The original's own example, when its weights and its sounds are there: $CSM_SILENTCIPHER_WEIGHTS names a directory with enc_c.ckpt, dec_c.ckpt
// (and dec_m_0.ckpt), $CSM_SILENTCIPHER_EXAMPLES one with test.wav and encoded_test.wav of its demonstration.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "watermark/silentcipher_stages.h"

namespace csm {
namespace {

constexpr SilentCipherMessage kDemoMessage = {123, 234, 111, 222, 11};

double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; k < 80; ++k) {
    term *= (x / 2 / k) * (x / 2 / k);
    sum += term;
  }
  return sum;
}

// The resampler of the original (resampy's "kaiser_best"), which its example was made with.
std::vector<float> resample_kaiser(const std::vector<float>& x, int from_hz, int to_hz) {
  constexpr double kZeros = 50, kBeta = 12.9846, kRollOff = 0.917347;
  const int o = from_hz / std::gcd(from_hz, to_hz), n = to_hz / std::gcd(from_hz, to_hz);
  const double scale = std::min(1.0, static_cast<double>(n) / o);
  const auto reach = static_cast<int>(std::ceil(kZeros / scale)) + 1;
  std::vector<std::vector<double>> taps(static_cast<size_t>(n));
  for (int phase = 0; phase < n; ++phase) {
    for (int k = -reach; k <= reach; ++k) {
      const double u = (static_cast<double>(phase * o % n) / n - k) * scale;
      const double inside = 1 - u / kZeros * u / kZeros;
      const double v = u * kRollOff, sinc = v == 0 ? 1 : std::sin(M_PI * v) / (M_PI * v);
      taps[static_cast<size_t>(phase)].push_back(
          inside < 0 ? 0 : scale * kRollOff * sinc * bessel_i0(kBeta * std::sqrt(inside)) / bessel_i0(kBeta));
    }
  }
  std::vector<float> y(static_cast<size_t>(static_cast<double>(x.size()) * n / o));
  for (size_t i = 0; i < y.size(); ++i) {
    const auto phase = static_cast<int>(i % static_cast<size_t>(n));
    const auto first = static_cast<int64_t>(i / static_cast<size_t>(n)) * o + phase * o / n - reach;
    double sum = 0;
    for (int64_t k = 0; k <= 2 * reach; ++k) {
      const int64_t at = first + k;
      if (at >= 0 && at < static_cast<int64_t>(x.size())) sum += static_cast<double>(x[static_cast<size_t>(at)]) * taps[static_cast<size_t>(phase)][static_cast<size_t>(k)];
    }
    y[i] = static_cast<float>(sum);
  }
  return y;
}

class SilentCipherGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* weights = std::getenv("CSM_SILENTCIPHER_WEIGHTS");
    const char* examples = std::getenv("CSM_SILENTCIPHER_EXAMPLES");
    if (weights == nullptr || examples == nullptr) {
      GTEST_SKIP() << "the original's weights and examples are not here: set CSM_SILENTCIPHER_WEIGHTS and CSM_SILENTCIPHER_EXAMPLES";
    }
    weights_ = weights;
    examples_ = examples;
  }
  std::string weights_, examples_;
};

TEST_F(SilentCipherGolden, EmbedsWhatTheOriginalEmbeds) {
  const Audio plain = read_audio(examples_ + "/test.wav"), expected = read_audio(examples_ + "/encoded_test.wav");
  const cipher::SilentCipherModel model = cipher::read_silentcipher_model(cipher::find_silentcipher_files(weights_));
  const std::vector<float> wide = resample_kaiser(plain.samples, plain.sample_rate_hz, cipher::kCipherRateHz);
  const double gain = cipher::cipher_gain(wide);
  cipher::CipherSpectrum spectrum = cipher::cipher_spectrum(wide, gain);
  cipher::apply_residual(spectrum, cipher::carrier_residual(model, spectrum, kDemoMessage, 2), model.encoder.n_linear_out, 47);
  const std::vector<float> marked = resample_kaiser(cipher::cipher_samples(spectrum, gain), cipher::kCipherRateHz, plain.sample_rate_hz);
  ASSERT_GE(marked.size() + 1, expected.samples.size());
  size_t n_same = 0;
  const size_t n = std::min(marked.size(), expected.samples.size());
  for (size_t i = 0; i < n; ++i) {
    const int64_t found = static_cast<int64_t>(std::floor(marked[i] * 32768.0)), wanted = std::lround(expected.samples[i] * 32768.0);
    ASSERT_LE(std::abs(found - wanted), 1) << i;
    n_same += found == wanted ? 1 : 0;
  }
  EXPECT_GE(static_cast<double>(n_same) / static_cast<double>(n), 0.99);
}

TEST_F(SilentCipherGolden, ReadsWhatTheOriginalReads) {
  const auto cipher = SilentCipher::open(weights_);
  if (!cipher->can_read()) GTEST_SKIP() << "dec_m_0.ckpt is not in '" << weights_ << "'";
  const Audio marked = read_audio(examples_ + "/encoded_test.wav");
  const SilentCipherReading reading = cipher->read(marked);
  EXPECT_TRUE(reading.found);
  EXPECT_EQ(reading.message, kDemoMessage);
  EXPECT_NEAR(reading.confidence, 307.0 / 315, 0.01);
  EXPECT_TRUE(cipher->find(marked, kDemoMessage).found);
  EXPECT_FALSE(cipher->find(read_audio(examples_ + "/test.wav"), kDemoMessage).found);
}

}  // namespace
}  // namespace csm
