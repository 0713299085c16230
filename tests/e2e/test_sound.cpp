// Output flags of the program: each format, rate and level on files and streams; playing with and without a sound card.
#include <csm/audio.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "program.h"

namespace csm::e2e {
namespace {

using Names = std::vector<std::string>;

uint32_t little_endian(const std::string& bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(offset + i));
  return value;
}

class Sound : public ProgramTest {
 protected:
  static Arguments speak(const Arguments& more) {
    Arguments arguments = {"speak", "Good morning.", "--model", demo_model(),   "--threads",
                           "1",     "--seed",        "3",       "--max-frames", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // The same codes each time, without the language model.
  std::string codes() const {
    const Outcome outcome =
        run({"codec", "encode", write_clip("one_s"), "--model", demo_model(), "-o", path("codes.safetensors")});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return path("codes.safetensors");
  }
  static Arguments decode(const std::string& codes, const Arguments& more) {
    Arguments arguments = {"codec", "decode", codes, "--model", demo_model(), "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static double peak(const Audio& audio) {
    float most = 0;
    for (const float sample : audio.samples) most = std::max(most, std::fabs(sample));
    return static_cast<double>(most);
  }
};

TEST_F(Sound, EachFormatHoldsTheSpeech) {
  const std::string from = codes();
  ASSERT_EQ(run(decode(from, {"-o", path("plain.wav"), "--float"})).code, 0);
  const Audio plain = read_audio(path("plain.wav"));
  for (const char* name :
       {"a.flac", "a.ogg", "a.opus", "a.mp3", "a.aiff"}) {
    SCOPED_TRACE(name);
    const Outcome outcome = run(decode(from, {"-o", path(name)}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Audio audio = read_audio(path(name));
    EXPECT_EQ(audio.sample_rate_hz, 24'000);
    EXPECT_NEAR(audio.seconds(), plain.seconds(), 0.1);
    EXPECT_NEAR(20 * std::log10(peak(audio) / peak(plain)), 0, 3);
  }
  ASSERT_EQ(run(decode(from, {"-o", path("a.raw"), "--bits", "24"})).code, 0);
  EXPECT_EQ(read_file(path("a.raw")).size(), plain.samples.size() * 3);
  ASSERT_EQ(run(decode(from, {"-o", path("named"), "--format", "f32le"})).code, 0);
  EXPECT_EQ(read_file(path("named")).size(), plain.samples.size() * 4);
}

TEST_F(Sound, RateBitsLoudnessAndTagsInOneCommand) {
  const Outcome outcome = run(
      speak({"-o", path("a.wav"), "--sample-rate", "44100", "--bits", "24", "--loudness", "-20", "--true-peak", "-2",
             "--fade-in", "0.01", "--fade-out", "0.05", "--dither", "--tag", "title=Good, morning", "--json", "-q"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json result = outcome.json();
  EXPECT_EQ(result.at("format"), "wav");
  EXPECT_EQ(result.at("sample_rate_hz"), 44'100);
  EXPECT_NEAR(result.at("loudness_lufs").get<double>(), -20, 0.1);
  EXPECT_LE(result.at("true_peak_db").get<double>(), -1.9);
  const Audio audio = read_audio(path("a.wav"));
  EXPECT_EQ(audio.sample_rate_hz, 44'100);
  EXPECT_NEAR(audio.seconds(), result.at("seconds").get<double>(), 1e-4);
  EXPECT_NE(read_file(path("a.wav")).find("Good, morning"), std::string::npos);
  EXPECT_EQ(files(), Names{"a.wav"});
}

TEST_F(Sound, PeakIsWhereItWasAsked) {
  ASSERT_EQ(run(speak({"-o", path("a.flac"), "--peak", "-6"})).code, 0);
  EXPECT_NEAR(20 * std::log10(peak(read_audio(path("a.flac")))), -6, 0.01);
}

TEST_F(Sound, StreamsTakeTheSameFlags) {
  const Outcome flac = run(speak({"-o", "-", "--format", "flac", "--sample-rate", "16000"}));
  ASSERT_EQ(flac.code, 0) << flac.err;
  write_file("a.flac", flac.out);
  EXPECT_EQ(read_audio(path("a.flac")).sample_rate_hz, 16'000);
  const Outcome loud = run(speak({"-o", "-", "--loudness", "-16", "--bits", "float"}));
  ASSERT_EQ(loud.code, 0) << loud.err;
  EXPECT_EQ(loud.out.substr(0, 4), "RIFF");
  const Outcome raw = run(speak({"-o", "-", "--format", "s16le"}));
  const Outcome wav = run(speak({"-o", "-"}));
  EXPECT_TRUE(raw.out == wav.out.substr(44));
}

TEST_F(Sound, AFileBehindStandardOutputGetsRightSizes) {
  Surroundings surroundings;
  surroundings.output_path = path("out.wav");
  write_file("out.wav", "");
  ASSERT_EQ(run(speak({"-o", "-"}), surroundings).code, 0);
  const std::string bytes = read_file(path("out.wav"));
  ASSERT_GT(bytes.size(), 44u);
  EXPECT_EQ(little_endian(bytes, 4), bytes.size() - 8);
  EXPECT_EQ(little_endian(bytes, 40), bytes.size() - 44);
  ASSERT_EQ(run(speak({"-o", path("file.wav")})).code, 0);
  EXPECT_TRUE(bytes == read_file(path("file.wav")));
}

TEST_F(Sound, WhatCannotWorkIsSaidBeforeTheWork) {
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.mp4")})), 1, "expected one of wav, flac"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.wav"), "--format", "mp4"})), 2, "--format"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.flac"), "--bits", "32"})), 1, "at most 24 bits"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.flac"), "--bits", "20"})), 2, "16, 24, 32, float"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.mp3"), "--dither"})), 1, "dither is for integer samples"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.wav"), "--loudness", "-16", "--peak", "-1"})), 2, "exclude"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.wav"), "--loudness", "3"})), 2, "-70"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.wav"), "--tag", "title"})), 2, "KEY=VALUE"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.wav"), "--tag", "author=me"})), 2, "no tag is called 'author'"));
  EXPECT_TRUE(fails_with(run(speak({"-o", path("a.raw"), "--tag", "title=x"})), 1, "no place for the tag"));
  EXPECT_TRUE(fails_with(run(speak({"-o", "-", "--format", "aiff"})), 1, "needs a file"));
  EXPECT_TRUE(files().empty());
}

// A home without a sound card, or with one that swallows everything: ALSA reads both from its configuration.
Surroundings with_alsa(const std::string& configuration) {
  Surroundings surroundings;
  surroundings.environment = {"ALSA_CONFIG_PATH=" + configuration};
  return surroundings;
}

TEST_F(Sound, WithoutASoundCardThereIsOneLine) {
  const Surroundings none = with_alsa(write_file("none.conf", "pcm.!default { type hw card 99 }\n"));
  EXPECT_TRUE(fails_with(run(speak({"--play"}), none), 1, "cannot play"));
  const Outcome both = run(speak({"--play", "-o", path("a.wav"), "-q"}), none);
  EXPECT_TRUE(fails_with(both, 1, "cannot play"));
  EXPECT_GT(read_audio(path("a.wav")).seconds(), 0.3) << "the speech is written all the same";
}

TEST_F(Sound, PlaysOnADeviceThatSwallowsEverything) {
  const Surroundings null_device =
      with_alsa(write_file("null.conf", "pcm.!default { type null }\nctl.!default { type null }\n"));
  const Outcome outcome = run(speak({"--play"}), null_device);
  if (outcome.code == 1 && outcome.err.find("cannot play") != std::string::npos) {
    GTEST_SKIP() << "this system has no ALSA null device: " << outcome.err;
  }
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_NE(outcome.err.find("played"), std::string::npos) << outcome.err;
  const Outcome both = run(speak({"--play", "-o", path("a.wav"), "--json"}), null_device);
  ASSERT_EQ(both.code, 0) << both.err;
  ASSERT_EQ(run(speak({"-o", path("b.wav")})).code, 0);
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
}

}  // namespace
}  // namespace csm::e2e
