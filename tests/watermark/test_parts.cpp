// The parts of the mark: transform, keyed stream, code, pattern.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <random>
#include <set>

#include "watermark/fft.h"
#include "watermark/pattern.h"
#include "watermark/payload_code.h"
#include "watermark/tiles.h"

namespace csm::mark {
namespace {

std::vector<float> random_samples(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> samples(n);
  for (float& x : samples) x = normal(random);
  return samples;
}

class Fft : public ::testing::TestWithParam<size_t> {};

TEST_P(Fft, AgreesWithTheDefinitionAndInverts) {
  const size_t n = GetParam();
  RealFft fft(n);
  const std::vector<float> in = random_samples(n, 3);
  std::vector<float> re(fft.n_lines()), im(fft.n_lines()), back(n);
  fft.forward(in, re, im);
  for (size_t k = 0; k < fft.n_lines(); ++k) {
    std::complex<double> sum;
    for (size_t t = 0; t < n; ++t) {
      sum += static_cast<double>(in[t]) *
             std::polar(1.0, -2 * M_PI * static_cast<double>(k * t % n) / static_cast<double>(n));
    }
    EXPECT_NEAR(re[k], sum.real(), 3e-5 * std::sqrt(n)) << k;
    EXPECT_NEAR(im[k], sum.imag(), 3e-5 * std::sqrt(n)) << k;
  }
  fft.inverse(re, im, back);
  for (size_t t = 0; t < n; ++t) EXPECT_NEAR(back[t], in[t], 1e-5) << t;
}

// 24, 8, 44.1 and 22.05 kHz; radices 2, 3, 4, 5, 7, 11; a prime.
INSTANTIATE_TEST_SUITE_P(Lengths, Fft, ::testing::Values(2, 4, 6, 320, 960, 1764, 882, 22, 194, 770));

TEST(KeyedStream, IsChaCha20) {  // RFC 8439, 2.3.2
  KeyBytes key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  const StreamLabel nonce = {0, 0, 0, 9, 0, 0, 0, 0x4A, 0, 0, 0, 0};
  const auto block = chacha20_block(key, nonce, 1);
  const std::array<uint8_t, 8> begin = {0x10, 0xF1, 0xE7, 0xE4, 0xD1, 0x3B, 0x59, 0x15};
  const std::array<uint8_t, 4> end = {0xA2, 0x50, 0x3C, 0x4E};
  EXPECT_TRUE(std::equal(begin.begin(), begin.end(), block.begin()));
  EXPECT_TRUE(std::equal(end.begin(), end.end(), block.end() - 4));
}

TEST(KeyedStream, DrawsBelowABoundEvenly) {
  KeyedStream stream(KeyBytes{}, StreamLabel{1});
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(stream.below(7));
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);
}

TEST(PayloadCode, ChecksumIsTheKnownOne) {
  // CRC-16/CCITT-FALSE of "1234" by bitwise division.
  uint32_t crc = 0xFFFF;
  for (const char c : {'1', '2', '3', '4'}) {
    for (int bit = 7; bit >= 0; --bit) {
      const bool top = ((crc >> 15 ^ static_cast<uint32_t>(c) >> bit) & 1) != 0;
      crc = (crc << 1 & 0xFFFF) ^ (top ? 0x1021 : 0);
    }
  }
  EXPECT_EQ(crc16(0x31323334), crc);
  EXPECT_EQ(crc16(0x31323334), 0x5349);
}

TEST(PayloadCode, SurvivesNoise) {
  SoftDecoder decoder;
  std::mt19937 random(5);
  std::normal_distribution<float> noise(0, 1.0f);
  for (int trial = 0; trial < 40; ++trial) {
    const auto payload = static_cast<uint32_t>(random());
    CodedBits soft = encode_payload(payload, 0x1234);
    for (float& bit : soft) bit = 0.9f * bit + noise(random);
    EXPECT_EQ(decoder.decode(soft, 0x1234, 16), payload) << trial;
  }
}

TEST(PayloadCode, AListFindsMoreThanTheBestPath) {
  SoftDecoder decoder;
  std::mt19937 random(6);
  std::normal_distribution<float> noise(0, 1.0f);
  int single = 0, listed = 0, wrong = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const auto payload = static_cast<uint32_t>(random());
    CodedBits soft = encode_payload(payload, 0);
    for (float& bit : soft) bit = 0.6f * bit + noise(random);
    const auto one = decoder.decode(soft, 0, 1), several = decoder.decode(soft, 0, 16);
    single += one == payload ? 1 : 0;
    listed += several == payload ? 1 : 0;
    wrong += several && several != payload ? 1 : 0;
  }
  EXPECT_GE(listed, single);
  EXPECT_GT(listed, 30);
  EXPECT_LE(wrong, 2);
}

TEST(PayloadCode, TheBestMetricIsThatOfTheBestPath) {
  SoftDecoder decoder;
  const CodedBits coded = encode_payload(0xDEADBEEF, 7);
  EXPECT_FLOAT_EQ(decoder.best_metric(coded), kCodedBits);
  std::mt19937 random(1);
  std::normal_distribution<float> noise;
  CodedBits soft;
  for (float& bit : soft) bit = noise(random);
  const float best = decoder.best_metric(soft);
  for (int trial = 0; trial < 200; ++trial) {
    const CodedBits other = encode_payload(static_cast<uint32_t>(random()), static_cast<uint16_t>(random()));
    float sum = 0;
    for (size_t i = 0; i < kCodedBits; ++i) sum += other[i] * soft[i];
    EXPECT_LE(sum, best);
  }
}

TEST(PayloadCode, AnotherMaskIsAnotherKey) {
  SoftDecoder decoder;
  EXPECT_EQ(decoder.decode(encode_payload(42, 0x1111), 0x2222, 1), std::nullopt);
}

TEST(Pattern, IsBalancedAndBelongsToItsKey) {
  KeyBytes key{};
  const Pattern a = KeyPattern(key).chips(1), again = KeyPattern(key).chips(1), b = KeyPattern(key).chips(2);
  key[0] = 1;
  const Pattern other = KeyPattern(key).chips(1);
  EXPECT_EQ(a, again);
  const auto product = [](const Pattern& x, const Pattern& y) {
    float sum = 0;
    for (size_t i = 0; i < kCells; ++i) sum += x[i] * y[i];
    return sum;
  };
  EXPECT_EQ(product(a, a), kCells);
  EXPECT_LT(std::abs(product(a, other)), 4.5 * std::sqrt(kCells));
  EXPECT_GT(product(a, a) - product(a, b), kCells / 8);  // payloads differ in many chips
}

TEST(Pattern, GatherUndoesChips) {
  const KeyPattern pattern((KeyBytes{9}));
  const Pattern chips = pattern.chips(0xCAFE);
  CodedBits soft{};
  for (size_t row = 0; row < kPeriod; ++row) pattern.gather(&chips[row * kTiles], row, soft);
  const CodedBits coded = encode_payload(0xCAFE, pattern.crc_mask());
  for (size_t i = 0; i < kCodedBits; ++i) {
    EXPECT_GT(soft[i] * coded[i], 15) << i;  // each coded bit lies on at least so many chips of a period
    EXPECT_LT(soft[i] * coded[i], 25) << i;
  }
}

TEST(Tiles, LevelsAreRelativeToAFullScaleSine) {
  Spectrum spectrum(kHop);
  std::vector<float> sine(2 * kHop);
  for (size_t i = 0; i < sine.size(); ++i) {
    sine[i] = static_cast<float>(0.1 * std::sin(2 * M_PI * 1050 * static_cast<double>(i) / kGridRateHz));
  }
  spectrum.analyse(sine);
  const TileRow db = spectrum.tile_db();
  const size_t tile = (1050 - 300) / 100;
  EXPECT_NEAR(db[tile], -20, 1.5);
  EXPECT_LT(db[40], -60);
}

TEST(Tiles, RelativeDifferencesIgnoreWhatAllTilesDo) {
  TileRow first{}, second{};
  for (size_t tile = 0; tile < kTiles; ++tile) first[tile] = 7, second[tile] = 1;
  first[30] += 3;
  const TileRow relative = relative_difference(first, second);
  EXPECT_FLOAT_EQ(relative[30], 3);
  EXPECT_FLOAT_EQ(relative[29], 0);
  EXPECT_FLOAT_EQ(relative[0], 0);
}

}  // namespace
}  // namespace csm::mark
