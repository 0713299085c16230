// Files in, and the reference's resampler: against golden sound, and every malformed file as its manifest says.
#include <nlohmann/json.hpp>

#include "audio_test.h"

namespace csm::test {
namespace {

TEST(ReadAudio, AgreesWithTheReference) {
  const Arrays reference = read_arrays(kData + "/audio/wav_reference.safetensors");
  const auto manifest = nlohmann::json::parse(read_bytes(kData + "/audio/wav_manifest.json"));
  ASSERT_FALSE(manifest.empty());
  for (const auto& entry : manifest) {
    const std::string name = entry.at("file");
    SCOPED_TRACE(name);
    const Audio audio = read_audio(kData + "/audio/" + name);
    EXPECT_EQ(audio.sample_rate_hz, entry.at("rate").get<int>());
    EXPECT_EQ(audio.samples.size(), entry.at("samples").get<size_t>());
    const Audio ours = resample(audio, 24'000);
    const std::vector<float>& expected = reference.at(name + ".mono24k").values;
    ASSERT_EQ(ours.samples.size(), expected.size());
    double noise = 0, signal = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double difference = static_cast<double>(ours.samples[i]) - static_cast<double>(expected[i]);
      noise += difference * difference;
      signal += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    EXPECT_GT(10 * std::log10(signal / std::max(noise, 1e-30)), 80);
  }
}

TEST(ReadAudio, MalformedFilesAsTheManifestSays) {
  const auto manifest = nlohmann::json::parse(read_bytes(kData + "/malformed/manifest.json"));
  int n_checked = 0;
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("target") != "wav") continue;
    SCOPED_TRACE(entry.dump());
    ++n_checked;
    const std::string file = kData + "/malformed/" + entry.at("path").get<std::string>();
    if (entry.at("expect") == "error") {
      EXPECT_NE(error_of([&] { read_audio(file); }).code(), ErrorCode::kInternal);
    } else {  // "either": a usable sound or an error
      try {
        EXPECT_FALSE(read_audio(file).samples.empty());
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInvalidData) << error.what();
      }
    }
  }
  EXPECT_GT(n_checked, 15);
}

TEST(ReadAudio, MissingFileAndFolder) {
  EXPECT_ERROR(read_audio("/nowhere/a.wav"), ErrorCode::kNotFound, "/nowhere/a.wav");
  EXPECT_ERROR(read_audio("/tmp"), ErrorCode::kInvalidData, "/tmp");
}

TEST(Resample, RatesOutOfRange) {
  EXPECT_ERROR(resample({{0, 0}, 24'000}, 999), ErrorCode::kInvalidArgument, "1000 to 768000");
  EXPECT_ERROR(resample({{0, 0}, 0}, 24'000), ErrorCode::kInvalidArgument, "an input sample rate");
}

TEST(Resample, KeepsATone) {
  const Audio up = resample({tone(1'000, 0.5, 0.5), 24'000}, 44'100);
  const std::vector<float> expected = tone(1'000, 0.5, 0.5, 44'100);
  ASSERT_EQ(up.samples.size(), expected.size());
  for (size_t i = 2'000; i < expected.size() - 2'000; ++i) ASSERT_NEAR(up.samples[i], expected[i], 2e-3) << i;
}

}  // namespace
}  // namespace csm::test
