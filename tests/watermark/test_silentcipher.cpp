// SilentCipher stage by stage against double precision with random weights, its message, its files, and what a user does with it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csm/error.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "io/pytorch_files.h"
#include "io/safetensors.h"
#include "silentcipher_reference.h"
#include "watermark/silentcipher_message.h"
#include "watermark/silentcipher_stages.h"

namespace csm {
namespace {

using namespace csm::cipher;
using namespace csm::test;
namespace fs = std::filesystem;

constexpr double kEnough = 100;  // dB
constexpr SilentCipherMessage kMessage = {123, 234, 111, 222, 11};

Audio noise(size_t n, int rate_hz, unsigned seed = 1) {
  Audio audio;
  audio.sample_rate_hz = rate_hz;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  float low = 0;
  for (size_t i = 0; i < n; ++i) {
    low = 0.9f * low + normal(random);
    audio.samples.push_back(0.3f * low);
  }
  return audio;
}

struct SmallModel : SmallCheckpoints {
  SilentCipherModel model;

  SmallModel() {
    model.encoder = read_silentcipher_stack(encoder.tensors(), "enc_c");
    model.carrier_decoder = read_carrier_decoder(carrier_decoder.tensors(), kMaps, "dec_c");
    model.message_decoder = read_silentcipher_stack(message_decoder.tensors(""), "dec_m_0");
    check_silentcipher_model(model, "enc_c");
  }
};

Maps magnitude_maps(const CipherSpectrum& spectrum, int n_bins) {
  Maps maps(1, n_bins, spectrum.n_frames);
  for (int f = 0; f < n_bins; ++f) {
    for (int t = 0; t < spectrum.n_frames; ++t) maps.at(0, f, t) = std::abs(std::complex<double>(spectrum.at(t, f)));
  }
  return maps;
}

// A plane's channels in the order of the reference.
Doubles normalised(const Plane& plane, const ChannelScales& scales, int n_channels) {
  Doubles values;
  for (int c = 0; c < n_channels; ++c) {
    const auto channel = static_cast<size_t>(c);
    for (int f = 0; f < plane.n_rows(); ++f) {
      for (int t = 0; t < plane.n_frames(); ++t) {
        values.push_back(plane.row(f)[static_cast<size_t>(t) * scales.scale.size() + channel] * scales.scale[channel] + scales.shift[channel]);
      }
    }
  }
  return values;
}

TEST(SilentCipher, EveryLayerOfTheEmbedder) {
  const SmallModel small;
  const Audio audio = noise(9000, kCipherRateHz);
  const CipherSpectrum spectrum = cipher_spectrum(audio.samples, cipher_gain(audio.samples));
  const Maps magnitude = magnitude_maps(spectrum, kCipherBins);
  std::vector<Maps> expected = stack_reference(small.encoder, magnitude);

  // As the original joins them: maps, the magnitude as often, the message as often.
  const Maps& maps = expected.back();
  const auto symbols = cipher_symbols(kMessage);
  Maps joined(3 * maps.n_channels, kCipherBins, spectrum.n_frames);
  for (int c = 0; c < maps.n_channels; ++c) {
    for (int f = 0; f < kCipherBins; ++f) {
      for (int t = 0; t < spectrum.n_frames; ++t) {
        joined.at(c, f, t) = maps.at(c, f, t);
        joined.at(maps.n_channels + c, f, t) = magnitude.at(0, f, t);
        if (f >= 1024) continue;
        const auto symbol = static_cast<size_t>(symbols[static_cast<size_t>(t) % kCipherTile]), bin = static_cast<size_t>(f);
        joined.at(2 * maps.n_channels + c, f, t) =
            static_cast<double>(small.encoder.at("linear.weight")[bin * 5 + symbol]) + static_cast<double>(small.encoder.at("linear.bias")[bin]);
      }
    }
  }
  const std::vector<Maps> decoded = stack_reference(small.carrier_decoder, joined);
  expected.insert(expected.end(), decoded.begin(), decoded.end());

  size_t layer = 0;
  const auto residual = carrier_residual(small.model, spectrum, kMessage, 2, [&](const Plane& plane, const ChannelScales& scales, int n) {
    ASSERT_LT(layer, expected.size());
    ASSERT_EQ(n, expected[layer].n_channels);
    EXPECT_GE(snr_db(normalised(plane, scales, n), expected[layer].values), kEnough) << "layer " << layer;
    ++layer;
  });
  EXPECT_EQ(layer, 5u);
  for (const int n_threads : {1, 3, 7}) EXPECT_EQ(carrier_residual(small.model, spectrum, kMessage, n_threads), residual);

  // The residual, scaled, comes off the magnitudes.
  CipherSpectrum marked = spectrum;
  apply_residual(marked, residual, 1024, 36);
  double power = 0;
  for (const double value : magnitude.values) power += value * value / static_cast<double>(magnitude.values.size());
  Doubles found, wanted;
  for (int t = 0; t < spectrum.n_frames; ++t) {
    double energy = 0;
    for (int f = 0; f < 1024; ++f) energy += decoded.back().at(0, f, t) * decoded.back().at(0, f, t) / kCipherBins;
    for (int f = 0; f < kCipherBins; ++f) {
      const double h = f < 1024 ? std::abs(decoded.back().at(0, f, t)) / std::sqrt(energy) / std::pow(10, 36.0 / 20) * std::sqrt(power) : 0;
      wanted.push_back(std::max(0.0, magnitude.at(0, f, t) - h));
      found.push_back(std::abs(std::complex<double>(marked.at(t, f))));
    }
  }
  EXPECT_GE(snr_db(found, wanted), kEnough);
}

TEST(SilentCipher, EveryLayerOfTheReader) {
  const SmallModel small;
  const Audio audio = noise(7000, kCipherRateHz, 4);
  const CipherSpectrum spectrum = cipher_spectrum(audio.samples, cipher_gain(audio.samples));
  const std::vector<Maps> expected = stack_reference(small.message_decoder, magnitude_maps(spectrum, 1024));
  size_t layer = 0;
  const auto logits = message_logits(small.model, spectrum, 2, [&](const Plane& plane, const ChannelScales& scales, int n) {
    ASSERT_LT(layer, expected.size());
    EXPECT_GE(snr_db(normalised(plane, scales, n), expected[layer].values), kEnough) << "layer " << layer;
    ++layer;
  });
  EXPECT_EQ(layer, 3u);
  Doubles wanted;
  for (int t = 0; t < spectrum.n_frames; ++t) {
    for (int s = 0; s < 5; ++s) {
      double sum = small.message_decoder.at("linear.bias")[0];
      for (int f = 0; f < 1024; ++f) sum += expected.back().at(s, f, t) * small.message_decoder.at("linear.weight")[static_cast<size_t>(f)];
      wanted.push_back(sum);
    }
  }
  EXPECT_GE(snr_db(logits, wanted), kEnough);
}

// The original's widths, at some places of one row.
TEST(SilentCipher, WideLayers) {
  for (const auto& [n_in, n_out] : {std::pair{96, 96}, std::pair{128, 128}, std::pair{34, 96}, std::pair{128, 5}}) {
    RandomWeights random(7);
    random.add_layer(0, n_in, n_out, 3);
    const Weights& weights = random.weights;
    const GatedWeights packed = pack_gated(n_in, n_out, 3, weights.at("main.0.conv.weight"), weights.at("main.0.conv.bias"),
                                           weights.at("main.0.gate.weight"), weights.at("main.0.gate.bias"));
    constexpr int kFrames = 8;
    std::mt19937 source(3);
    std::normal_distribution<float> normal(0, 1);
    std::vector<std::vector<float>> rows(3, std::vector<float>(static_cast<size_t>((padded_frames(kFrames) + 2) * n_in), 0.f));
    for (auto& row : rows) {
      for (int i = n_in; i < (kFrames + 1) * n_in; ++i) row[static_cast<size_t>(i)] = normal(source);
    }
    const float* pointers[] = {rows[0].data(), rows[1].data(), rows[2].data()};
    std::vector<float> out(static_cast<size_t>(padded_frames(kFrames) * padded_channels(n_out)));
    gated_row(packed, pointers, kFrames, out.data());
    const float* const conv = weights.at("main.0.conv.weight").data();
    const float* const gate = weights.at("main.0.gate.weight").data();
    Doubles found, wanted;
    for (int t = 0; t < kFrames; t += 7) {  // the first and the last
      for (int o = 0; o < n_out; ++o) {
        double c = weights.at("main.0.conv.bias")[static_cast<size_t>(o)], g = weights.at("main.0.gate.bias")[static_cast<size_t>(o)];
        for (int i = 0; i < n_in; ++i) {
          for (int tap = 0; tap < 9; ++tap) {
            const double x = pointers[tap / 3][(t + tap % 3) * n_in + i];
            c += x * conv[(o * n_in + i) * 9 + tap];
            g += x * gate[(o * n_in + i) * 9 + tap];
          }
        }
        wanted.push_back(c / (1 + std::exp(-g)));
        found.push_back(out[static_cast<size_t>(t * padded_channels(n_out) + o)]);
      }
    }
    EXPECT_GE(snr_db(found, wanted), kEnough) << n_in << " " << n_out;
  }
}

TEST(SilentCipher, SpectrumAndBack) {
  const Audio audio = noise(10'000, kCipherRateHz, 2);
  const double gain = cipher_gain(audio.samples);
  double power = 0;
  for (const float sample : audio.samples) power += gain * gain * sample * sample / static_cast<double>(audio.samples.size());
  EXPECT_NEAR(power, 0.002837200844477648, 1e-9);
  const CipherSpectrum spectrum = cipher_spectrum(audio.samples, gain);
  EXPECT_EQ(spectrum.n_frames, 12288 / 2048 + 1);
  // By the definition, at some places; frame 0 begins in the reflected end.
  const auto padded = [&](int i) { return i >= 0 && i < 10'000 ? gain * audio.samples[static_cast<size_t>(i)] : 0; };
  Doubles found, wanted;
  for (const int t : {0, 1, 3, 6}) {
    for (const int bin : {0, 1, 77, 1023, 2048}) {
      std::complex<double> sum = 0;
      for (int i = 0; i < 4096; ++i) {
        int at = t * 2048 + i - 2048;
        if (at < 0) at = -at;
        if (at >= 12288) at = 2 * 12288 - 2 - at;
        sum += padded(at) * (0.5 - 0.5 * std::cos(2 * M_PI * i / 4096)) * std::polar(1.0, -2 * M_PI * bin * i / 4096);
      }
      for (const double part : {sum.real(), sum.imag()}) wanted.push_back(part);
      for (const float part : {spectrum.at(t, bin).real(), spectrum.at(t, bin).imag()}) found.push_back(part);
    }
  }
  EXPECT_GE(snr_db(found, wanted), kEnough);
  EXPECT_GE(snr_db(cipher_samples(spectrum, gain), audio.samples), kEnough);
  EXPECT_EQ(cipher_gain(std::vector<float>(100, 0.f)), 0);
  EXPECT_EQ(cipher_spectrum(std::vector<float>(4096, 0.1f), 1).n_frames, 5);  // a whole window of zeros is appended
}

// The formula of the reference's resampler in double precision.
TEST(SilentCipher, ResamplerBothWays) {
  for (const auto& [from, to] : {std::pair{24'000, 44'100}, std::pair{44'100, 24'000}}) {
    Audio audio;
    audio.sample_rate_hz = from;
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0, 1);
    for (int i = 0; i < 3000; ++i) audio.samples.push_back(normal(random));
    const Audio out = resample(audio, to);
    const int o = from / 300, n = to / 300;
    const double base = 0.99 * std::min(o, n);
    const int width = static_cast<int>(std::ceil(6 * o / base));
    ASSERT_EQ(out.samples.size(), static_cast<size_t>((3000LL * n + o - 1) / o));
    for (size_t index = 0; index < out.samples.size(); index += 13) {
      const int phase = static_cast<int>(index) % n, start = static_cast<int>(index) / n * o;
      double sum = 0;
      for (int i = -width; i < width + o; ++i) {
        const int at = start + i;
        if (at < 0 || at >= 3000) continue;
        const double t = std::clamp((static_cast<double>(i) / o - static_cast<double>(phase) / n) * base, -6.0, 6.0);
        const double sinc = t == 0 ? 1 : std::sin(M_PI * t) / (M_PI * t);
        sum += audio.samples[static_cast<size_t>(at)] * sinc * std::pow(std::cos(M_PI * t / 12), 2) * base / o;
      }
      ASSERT_NEAR(out.samples[index], sum, 3e-5) << from << " " << index;
    }
  }
}

TEST(SilentCipher, MessagesAsTextAndSymbols) {
  EXPECT_EQ(parse_silentcipher_message("D4d39238C9"), kCsmMessage);
  EXPECT_EQ(parse_silentcipher_message("212,211,146,56,201"), kCsmMessage);
  EXPECT_EQ(to_string(kCsmMessage), "D4D39238C9");
  for (const char* text : {"", "D4D39238C", "D4D39238CG", "1,2,3,4", "1,2,3,4,256", "1,2,3,4,5,6", "1,2,3,4,5 ", "-1,2,3,4,5"}) {
    EXPECT_THROW(parse_silentcipher_message(text), Error) << text;
  }
  const auto symbols = cipher_symbols({0b00011011, 0, 0, 0, 0xFF});
  EXPECT_EQ(std::vector<int>(symbols.begin(), symbols.begin() + 5), (std::vector<int>{1, 2, 3, 4, 1}));
  EXPECT_EQ(std::vector<int>(symbols.end() - 5, symbols.end()), (std::vector<int>{4, 4, 4, 4, 0}));
}

TEST(SilentCipher, TheReferencesRules) {
  const auto symbols = cipher_symbols(kMessage);
  std::vector<int> frames;
  for (size_t i = 0; i < 21 * 4 + 10; ++i) frames.push_back(symbols[(i + 8) % 21]);  // begins within a tile, ends within one
  EXPECT_EQ(vote(frames).reading.message, kMessage);
  EXPECT_EQ(vote(frames).reading.confidence, 1);
  for (const size_t wrong : {5u, 30u, 60u}) frames[wrong] = (frames[wrong] + 1) % 5;
  const CipherVote noisy = vote(frames);
  EXPECT_TRUE(noisy.reading.found);
  EXPECT_EQ(noisy.reading.message, kMessage);
  EXPECT_NEAR(noisy.reading.confidence, 81.0 / 84, 1e-12);
  EXPECT_FALSE(vote(std::vector<int>(20, 0)).reading.found);  // not one tile
  EXPECT_FALSE(vote(std::vector<int>(42, 3)).reading.found);  // no end mark
  EXPECT_FALSE(vote(std::vector<int>(42, 0)).reading.found);  // many
  std::vector<int> tie(42, 2);                                // of equals the smaller symbol: here the end mark
  tie[4] = 0;
  EXPECT_TRUE(vote(tie).reading.found);
}

TEST(SilentCipher, AKnownMessageIsWeighedAgainstRandomOnes) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 1);
  const auto symbols = cipher_symbols(kMessage);
  const auto logits_of = [&](double strength) {
    std::vector<float> logits;
    for (size_t t = 0; t < 40; ++t) {
      for (int s = 0; s < 5; ++s) logits.push_back(normal(random) + (symbols[(t + 3) % 21] == s ? static_cast<float>(strength) : 0.f));
    }
    return logits;
  };
  EXPECT_GT(cipher_z(logits_of(3), kMessage), 6.5);
  EXPECT_LT(cipher_chance(cipher_z(logits_of(3), kMessage), 21), 1e-6);
  // Random messages on one marked sound: as often as the formula says, within 1.5.
  const std::vector<float> logits = logits_of(1.5);
  constexpr int kTrials = 20'000;
  int n_false = 0;
  for (int i = 0; i < kTrials; ++i) {
    SilentCipherMessage wrong{};
    for (uint8_t& byte : wrong) byte = static_cast<uint8_t>(random());
    if (cipher_chance(cipher_z(logits, wrong), kCipherTile) < 1e-2) ++n_false;
  }
  EXPECT_LE(n_false, static_cast<int>(1.5e-2 * kTrials));
  EXPECT_EQ(cipher_chance(0, 100), 1);
  EXPECT_EQ(cipher_z(std::vector<float>(200, 0.f), kMessage), 0);
}

// Directories as a user has them.
class SilentCipherFilesTest : public ::testing::Test {
 protected:
  SilentCipherFilesTest()
      : path_(fs::path(::testing::TempDir()) / ("csm_silentcipher_" + std::to_string(::getpid()) + "_" +
                                                ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(path_);
  }
  ~SilentCipherFilesTest() override { fs::remove_all(path_); }

  void write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  void write_checkpoints(const std::string& folder = "") const {
    write(folder + "enc_c.ckpt", archive_of(small_.encoder.tensors()));
    write(folder + "dec_c.ckpt", archive_of(small_.carrier_decoder.tensors()));
    write(folder + "dec_m_0.ckpt", archive_of(small_.message_decoder.tensors()));
  }
  std::string error(ErrorCode code) const {
    try {
      SilentCipher::open(path_.string());
    } catch (const Error& failure) {
      EXPECT_EQ(failure.code(), code) << failure.what();
      return failure.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }

  fs::path path_;
  SmallModel small_;
};

TEST_F(SilentCipherFilesTest, EmbedsAtAnyRateAndKeepsTheLength) {
  write_checkpoints();
  const auto cipher = SilentCipher::open(path_.string());
  ASSERT_TRUE(cipher->can_read());
  SilentCipherEmbedOptions options;
  for (const int rate : {24'000, 44'100, 16'000}) {
    const Audio audio = noise(static_cast<size_t>(rate), rate, 9);
    options.n_threads = 1;
    const Audio marked = cipher->embed(audio, options);
    ASSERT_EQ(marked.samples.size(), audio.samples.size());
    EXPECT_EQ(marked.sample_rate_hz, rate);
    EXPECT_NE(marked.samples, audio.samples);
    options.n_threads = 3;
    EXPECT_EQ(cipher->embed(audio, options).samples, marked.samples);
    // At 44.1 kHz nothing but the mark changes: a few dB above the setting, as much of it is clamped.
    if (rate == 44'100) EXPECT_NEAR(snr_db(marked.samples, audio.samples), 38, 4);
  }
  Audio silence;
  silence.sample_rate_hz = 24'000;
  EXPECT_TRUE(cipher->embed(silence, options).samples.empty());
  silence.samples.assign(5000, 0.f);
  EXPECT_EQ(cipher->embed(silence, options).samples, silence.samples);
  options.sdr_db = -1;
  EXPECT_THROW(cipher->embed(silence, options), Error);
}

TEST_F(SilentCipherFilesTest, ReadsWithoutBelievingNoise) {
  write_checkpoints("44_1_khz/73999_iteration/");
  const auto cipher = SilentCipher::open(path_.string());
  const Audio audio = noise(60'000, 44'100, 3);
  const SilentCipherFinding finding = cipher->find(audio, kCsmMessage);
  EXPECT_FALSE(finding.found) << finding.z;
  EXPECT_GE(finding.n_passes, 8 + 3);
  EXPECT_LE(finding.n_passes, 8 + 6);
  EXPECT_GT(finding.false_positive_probability, 1e-6);
  EXPECT_GE(cipher->read(audio).confidence, 0);
  const Audio brief = noise(1000, 44'100, 3);
  EXPECT_FALSE(cipher->find(brief, kCsmMessage).found || cipher->read(brief).found);
  SilentCipherReadOptions options;
  int n_passes = 0;
  options.search = SilentCipherSearch::kExhaustive;
  options.keep_going = [&] { return ++n_passes < 3; };
  EXPECT_THROW(cipher->read(audio, options), Error);
  EXPECT_EQ(n_passes, 3);
}

TEST_F(SilentCipherFilesTest, SafetensorsGiveTheSame) {
  write_checkpoints();
  const Audio audio = noise(20'000, 24'000, 3);
  const std::vector<float> expected = SilentCipher::open(path_.string())->embed(audio).samples;
  for (const auto& [name, weights] : {std::pair{"enc_c", &small_.encoder}, std::pair{"dec_c", &small_.carrier_decoder}}) {
    fs::remove(path_ / (std::string(name) + ".ckpt"));
    std::vector<TensorToWrite> tensors;
    for (const auto& [tensor, shape] : weights->shapes) tensors.push_back({tensor, DType::kF32, shape, weights->at(tensor).data()});
    write_safetensors((path_ / (std::string(name) + ".safetensors")).string(), tensors);
  }
  fs::remove(path_ / "dec_m_0.ckpt");
  const auto cipher = SilentCipher::open(path_.string());
  EXPECT_EQ(cipher->embed(audio).samples, expected);
  EXPECT_FALSE(cipher->can_read());
  EXPECT_THROW(cipher->read(audio), Error);
}

TEST_F(SilentCipherFilesTest, WrongFilesAreNamed) {
  EXPECT_NE(error(ErrorCode::kNotFound).find("enc_c.ckpt"), std::string::npos);
  write_checkpoints();
  write("enc_c.ckpt", archive_of(small_.carrier_decoder.tensors()));
  EXPECT_NE(error(ErrorCode::kInvalidData).find("main.0.conv.weight"), std::string::npos);
  write("enc_c.ckpt", archive_of(std::string("}")));
  EXPECT_NE(error(ErrorCode::kInvalidData).find("enc_c.ckpt"), std::string::npos);
  write("enc_c.ckpt", archive_of(global_op("os", "system") + text_op("id") + "\x85R"));
  EXPECT_NE(error(ErrorCode::kUnsupported).find("os.system"), std::string::npos);
  Weights broken = small_.encoder;
  broken.values.at("main.1.bn.bias")[0] = std::nanf("");
  write("enc_c.ckpt", archive_of(broken.tensors()));
  EXPECT_NE(error(ErrorCode::kInvalidData).find("NaN"), std::string::npos);
  broken = small_.encoder;
  broken.shapes.erase("main.1.gate.bias");
  write("enc_c.ckpt", archive_of(broken.tensors()));
  EXPECT_NE(error(ErrorCode::kInvalidData).find("main.1.gate.bias"), std::string::npos);
}

}  // namespace
}  // namespace csm
