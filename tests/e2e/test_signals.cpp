// Ctrl-C and readers that go away.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "program.h"

namespace csm::e2e {
namespace {

class Signals : public ProgramTest {
 protected:
  // Ten seconds of speech: long enough to be interrupted on any machine.
  Arguments long_speech(const std::string& output) const {
    return {"speak", "Good morning.", "--model", demo_model(),    "--threads",
            "1",     "--min-frames",  "120",     "--dump-prompt", path("prompt.safetensors"),
            "-o",    output};
  }

  // The prompt is written right before the speech begins.
  void wait_for_prompt() const {
    for (int i = 0; i < 3000 && !std::filesystem::exists(path("prompt.safetensors")); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_TRUE(std::filesystem::exists(path("prompt.safetensors")));
  }
};

TEST_F(Signals, CtrlCWhileSpeakingToAFileLeavesNothing) {
  Running program(long_speech(path("out.wav")));
  wait_for_prompt();
  program.signal(SIGINT);
  EXPECT_TRUE(fails_with(program.wait(), 130, "interrupted"));
  EXPECT_EQ(files(), std::vector<std::string>{"prompt.safetensors"});
}

TEST_F(Signals, CtrlCInTheMiddleOfSpeechLeavesNothing) {
  Running program(long_speech(path("out.wav")));
  wait_for_prompt();
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  program.signal(SIGINT);
  EXPECT_TRUE(fails_with(program.wait(), 130, "interrupted"));
  EXPECT_EQ(files(), std::vector<std::string>{"prompt.safetensors"});
}

TEST_F(Signals, CtrlCWhileStreamingStopsAfterAFrame) {
  Running program(long_speech("-"));
  program.read_some_output();
  program.signal(SIGINT);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 130);
  EXPECT_EQ(outcome.err, "csm: error: interrupted\n");
  EXPECT_EQ(outcome.out.substr(0, 4), "RIFF");
  EXPECT_LT(outcome.out.size(), 120u * 1920 * 2);
}

TEST_F(Signals, CtrlCWhileTheReaderDoesNotRead) {
  Arguments arguments = long_speech("-");
  arguments.push_back("--float");  // 7,680 bytes a frame: the pipe is full long before the end
  Running program(arguments);
  wait_for_prompt();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  program.signal(SIGINT);
  EXPECT_EQ(program.wait().code, 130);
}

TEST_F(Signals, TerminationIsTheSameButForItsCode) {
  Running program(long_speech(path("out.wav")));
  wait_for_prompt();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait().code, 128 + SIGTERM);
  EXPECT_EQ(files(), std::vector<std::string>{"prompt.safetensors"});
}

TEST_F(Signals, AReaderThatGoesAwayEndsTheProgramQuietly) {
  Running program(long_speech("-"));
  program.read_some_output();
  program.close_output();
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 128 + SIGPIPE);
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
}

}  // namespace
}  // namespace csm::e2e
