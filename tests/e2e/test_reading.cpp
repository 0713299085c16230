// csm speak --file and csm script: long texts and dialogues, and what Ctrl-C leaves.
#include <csm/audio.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "program.h"

namespace csm::e2e {
namespace {

class Reading : public ProgramTest {
 protected:
  Arguments with_model(Arguments arguments, const Arguments& more = {}) const {
    const Arguments model = {"--model", demo_model(), "--threads", "1", "--seed", "3", "--max-seconds", "1"};
    arguments.insert(arguments.end(), model.begin(), model.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(Reading, AFileInPieces) {
  const std::string text = write_file("text.txt", "Dr. Brown has 5 cats. How are you?\n\nFine, thank you.[pause:1s]");
  const Outcome outcome = run(with_model({"speak", "--file", text, "-o", path("a.wav"), "--json", "--chunk-characters", "30"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json().at("chunks"), 3);
  const Audio audio = read_audio(path("a.wav"));
  EXPECT_NEAR(audio.seconds(), outcome.json().at("seconds").get<double>(), 0.01);
  EXPECT_GT(audio.seconds(), outcome.json().at("speech_seconds").get<double>() + 1);
  const auto silence = audio.samples.end() - audio.sample_rate_hz + 10;
  EXPECT_TRUE(std::all_of(silence, audio.samples.end(), [](float sample) { return sample == 0; }));
}

TEST_F(Reading, StandardInputToStandardOutput) {
  Surroundings surroundings;
  surroundings.input = "Good morning.";
  const Outcome outcome = run(with_model({"speak", "--file", "-", "-o", "-", "--quiet"}), surroundings);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.substr(0, 4), "RIFF");
  EXPECT_GT(outcome.out.size(), 10'000u);
}

TEST_F(Reading, AScriptWithVoices) {
  const std::string script = write_file("play.txt", "Anna: Good morning.\nBen: How are you?\nAnna: Fine.\n");
  const Outcome plain = run(with_model({"script", script, "-o", path("a.wav"), "--json"}));
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.json().at("chunks"), 3);
  const Outcome cast = run(with_model({"script", script, "-o", path("c.wav"), "--cast", "Anna=male,Ben=female", "--json"}));
  ASSERT_EQ(cast.code, 0) << cast.err;
  EXPECT_NE(read_file(path("c.wav")), read_file(path("a.wav")));
  EXPECT_TRUE(fails_with(run(with_model({"script", script, "-o", path("b.wav"), "--cast", "Anna=no-such-voice"})), 1, "no-such-voice"));
  EXPECT_TRUE(fails_with(run(with_model({"script", script, "-o", path("b.wav"), "--cast", "Ana=x"})), 2, "did you mean 'Anna'"));
  EXPECT_TRUE(fails_with(run(with_model({"script", script, "-o", path("b.wav"), "--cast", "Anna"})), 2, "SPEAKER=VOICE"));
  EXPECT_FALSE(std::filesystem::exists(path("b.wav")));
}

TEST_F(Reading, WhatIsWrong) {
  const std::string text = write_file("text.txt", "Hello.");
  EXPECT_TRUE(fails_with(run(with_model({"speak", "Hi.", "--file", text, "-o", path("a.wav")})), 2, "--file"));
  EXPECT_TRUE(fails_with(run(with_model({"speak", "--file", text})), 2, "-o"));
  EXPECT_TRUE(fails_with(run(with_model({"speak", "--file", path("none.txt"), "-o", path("a.wav")})), 1, "none.txt"));
  EXPECT_TRUE(fails_with(run(with_model({"speak", "--file", text, "-o", path("a.wav"), "--chunk-characters", "3"})), 2, "max_characters"));
  const std::string bad = write_file("bad.txt", "One.\nTwo [pause:x].");
  EXPECT_TRUE(fails_with(run(with_model({"speak", "--file", bad, "-o", path("a.wav")})), 1, "line 2"));
  const std::string script = write_file("play.txt", "Hello there.");
  EXPECT_TRUE(fails_with(run(with_model({"script", script, "-o", path("a.wav")})), 1, "line 1"));
  EXPECT_FALSE(std::filesystem::exists(path("a.wav")));
}

TEST_F(Reading, CtrlCLeavesWhatWasSaid) {
  std::string chapter;
  for (int i = 0; i < 400; ++i) chapter += "Good morning, how are you today? ";
  const std::string text = write_file("chapter.txt", chapter);
  Running program({"speak", "--file", text, "--model", demo_model(), "--threads", "1", "--seed", "1", "-o", path("a.wav")});
  // The file grows beside its name from the first piece on.
  for (int i = 0; i < 3000 && files().size() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  program.signal(SIGINT);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 130);
  EXPECT_NE(outcome.err.find("stopped before the end"), std::string::npos) << outcome.err;
  EXPECT_GT(read_audio(path("a.wav")).seconds(), 0.5);
  EXPECT_EQ(files(), (std::vector<std::string>{"a.wav", "chapter.txt"}));
}

}  // namespace
}  // namespace csm::e2e
