// csm speak: from words on the command line to files that other programs read.
#include <csm/audio.h>
#include <csm/tensors.h>
#include <fmt/format.h>

#include "program.h"

namespace csm::e2e {
namespace {

using Names = std::vector<std::string>;

// A short sentence by the bundled model on one thread.
Arguments speak(const Arguments& more) {
  Arguments arguments = {"speak", "Good morning.", "--model", demo_model(), "--threads", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

class Speak : public ProgramTest {};

TEST_F(Speak, WritesAWavFileAndSaysSo) {
  const Outcome outcome = run(speak({"-o", path("a.wav"), "--seed", "1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  EXPECT_NE(outcome.err.find("seed 1"), std::string::npos) << outcome.err;
  const Audio audio = read_audio(path("a.wav"));
  EXPECT_EQ(audio.sample_rate_hz, 24'000);
  EXPECT_GT(audio.seconds(), 0.4);
  EXPECT_LT(audio.seconds(), 6.0);
  EXPECT_EQ(audio.samples.size() % 1920, 0u);
  EXPECT_EQ(files(), Names{"a.wav"});
}

TEST_F(Speak, JsonTellsWhatHappened) {
  const Outcome outcome = run(speak({"-o", path("a.wav"), "--seed", "77", "--json", "--quiet"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
  const nlohmann::json result = outcome.json();
  EXPECT_EQ(result.at("seed"), 77u);
  EXPECT_EQ(result.at("file"), path("a.wav"));
  EXPECT_NEAR(result.at("seconds").get<double>(), read_audio(path("a.wav")).seconds(), 1e-9);
  EXPECT_NEAR(result.at("frames").get<int>() * 0.08, result.at("seconds").get<double>(), 1e-9);
  EXPECT_TRUE(result.at("finish_reason").is_string());
  for (const char* name :
       {"rtf", "first_audio_ms", "prefill_ms", "total_ms", "peak_memory_bytes", "prompt_positions"}) {
    EXPECT_GT(result.at(name).get<double>(), 0) << name;
  }
  EXPECT_EQ(result.at("threads"), 1);
}

TEST_F(Speak, TheSameSeedGivesTheSameBytes) {
  for (const char* name : {"a.wav", "b.wav"}) ASSERT_EQ(run(speak({"-o", path(name), "--seed", "5"})).code, 0);
  ASSERT_EQ(run(speak({"-o", path("c.wav"), "--seed", "6"})).code, 0);
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
  EXPECT_TRUE(read_file(path("a.wav")) != read_file(path("c.wav")));
}

TEST_F(Speak, WithoutASeedTheReportedOneRepeatsTheRun) {
  const Outcome first = run(speak({"-o", path("a.wav"), "--json"}));
  const std::string seed = first.json().at("seed").dump();
  ASSERT_EQ(run(speak({"-o", path("b.wav"), "--seed", seed})).code, 0);
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
}

TEST_F(Speak, AStreamHoldsTheSamplesOfTheFile) {
  ASSERT_EQ(run(speak({"-o", path("a.wav"), "--seed", "3"})).code, 0);
  const Outcome stream = run(speak({"-o", "-", "--seed", "3"}));
  ASSERT_EQ(stream.code, 0) << stream.err;
  ASSERT_GT(stream.out.size(), 44u);
  EXPECT_EQ(stream.out.substr(0, 4), "RIFF");
  EXPECT_EQ(stream.out.substr(4, 4), "\xFF\xFF\xFF\xFF");
  EXPECT_TRUE(stream.out.substr(44) == read_file(path("a.wav")).substr(44));
  write_file("stream.wav", stream.out);  // other programs open it
  EXPECT_TRUE(read_audio(path("stream.wav")).samples == read_audio(path("a.wav")).samples);
}

TEST_F(Speak, FloatSamplesAndOtherContainers) {
  ASSERT_EQ(run(speak({"-o", path("a.wav"), "--seed", "3", "--float"})).code, 0);
  ASSERT_EQ(run(speak({"-o", path("a.flac"), "--seed", "3"})).code, 0);
  const Audio precise = read_audio(path("a.wav"));
  const Audio flac = read_audio(path("a.flac"));
  EXPECT_EQ(read_file(path("a.wav")).substr(20, 1), "\x03");  // IEEE float
  ASSERT_EQ(precise.samples.size(), flac.samples.size());
  for (size_t i = 0; i < flac.samples.size(); ++i) ASSERT_NEAR(precise.samples[i], flac.samples[i], 1.0 / 32768) << i;
}

TEST_F(Speak, TextFromFileAndStandardInput) {
  const Arguments rest = {"--model", demo_model(), "--threads", "1", "--seed", "3", "-o"};
  ASSERT_EQ(run(speak({"-o", path("a.wav"), "--seed", "3"})).code, 0);
  Arguments from_file = {"speak", "--text-file", write_file("text.txt", "Good morning.\n")};
  from_file.insert(from_file.end(), rest.begin(), rest.end());
  from_file.push_back(path("b.wav"));
  ASSERT_EQ(run(from_file).code, 0);
  Arguments from_pipe = {"speak", "-"};
  from_pipe.insert(from_pipe.end(), rest.begin(), rest.end());
  from_pipe.push_back(path("c.wav"));
  Surroundings pipe;
  pipe.input = "Good morning.\n";
  ASSERT_EQ(run(from_pipe, pipe).code, 0);
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("c.wav")));
}

TEST_F(Speak, GreedyAndLimitsAreHeeded) {
  const Outcome limited =
      run(speak({"-o", path("a.wav"), "--greedy", "--max-seconds", "0.4", "--min-frames", "5", "--json"}));
  ASSERT_EQ(limited.code, 0) << limited.err;
  EXPECT_EQ(limited.json().at("frames"), 5);
  EXPECT_EQ(limited.json().at("finish_reason"), "max_length");
  ASSERT_EQ(run(speak({"-o", path("b.wav"), "--temperature", "0", "--max-seconds", "0.4", "--min-frames", "5"})).code,
            0);
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
}

TEST_F(Speak, PenaltiesAreHeeded) {
  const Arguments base = {"--greedy", "--max-seconds", "1.6", "--min-frames", "20", "-o"};
  const auto samples = [&](Arguments more) {
    more.insert(more.end(), base.begin(), base.end());
    more.push_back(path("a.wav"));
    const Outcome outcome = run(speak(more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_file(path("a.wav"));
  };
  const std::string plain = samples({});
  EXPECT_TRUE(plain != samples({"--repetition-penalty", "50"}));
  EXPECT_TRUE(plain != samples({"--presence-penalty", "50"}));
  EXPECT_TRUE(plain != samples({"--depth-frequency-penalty", "50"}));
}

TEST_F(Speak, SamplingFlagsOfTheDepthDecoderStandAlone) {
  const Arguments base = {"-o", path("a.wav"), "--seed", "4", "--max-seconds", "0.4", "--min-frames", "5"};
  const auto samples = [&](Arguments more) {
    more.insert(more.begin(), base.begin(), base.end());
    EXPECT_EQ(run(speak(more)).code, 0);
    return read_file(path("a.wav"));
  };
  const std::string both = samples({"--temperature", "2"});
  EXPECT_TRUE(both == samples({"--temperature", "2", "--depth-temperature", "2"}));
  EXPECT_TRUE(both != samples({"--temperature", "2", "--depth-temperature", "0"}));
  EXPECT_TRUE(samples({"--top-k", "1"}) == samples({"--greedy"}));
}

TEST_F(Speak, TheModelComesFromTheEnvironmentOrIsTheBundledOne) {
  Surroundings surroundings;
  surroundings.environment = {"CSM_MODEL=" + demo_model()};
  const Arguments arguments = {"speak", "Hi.", "--threads", "1", "--seed", "1", "-o", path("a.wav"), "--json"};
  const Outcome outcome = run(arguments, surroundings);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json().at("model"), demo_model());
  EXPECT_EQ(run(arguments).code, 0);
}

TEST_F(Speak, ASecondThreadChangesNothing) {
  Arguments one = speak({"-o", path("a.wav"), "--seed", "2"});
  ASSERT_EQ(run(one).code, 0);
  const Outcome two =
      run({"speak", "Good morning.", "--model", demo_model(), "--threads", "2", "-o", path("b.wav"), "--seed", "2"});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_TRUE(read_file(path("a.wav")) == read_file(path("b.wav")));
}

TEST_F(Speak, ReducedTypesSpeak) {
  for (const Arguments& type : {Arguments{"--quantize", "q8_0"}, Arguments{"--quantize", "backbone=q8_0,depth=q6_K"},
                                Arguments{"--dtype", "f16", "--kv-type", "f16", "--codec-dtype", "f16"}}) {
    Arguments more = {"-o", path("a.wav"), "--seed", "1"};
    more.insert(more.end(), type.begin(), type.end());
    const Outcome outcome = run(speak(more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_GT(read_audio(path("a.wav")).seconds(), 0.3);
  }
}

}  // namespace
}  // namespace csm::e2e
