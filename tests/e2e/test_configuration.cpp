// Settings from the file, the environment, presets and flags, as they reach the speech; and what the program says of itself.
#include <csm/audio.h>

#include <cstdlib>

#include "program.h"

namespace csm::e2e {
namespace {

class ConfigurationProgram : public ProgramTest {
 protected:
  // The summary of a short piece of speech.
  nlohmann::json spoken(const Arguments& more, const Surroundings& surroundings = {}) const {
    Arguments arguments = {"speak", "Good morning to you.", "--model", demo_model(), "-t", "1", "-o", path("out.wav"), "--json", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments, surroundings);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.json();
  }
};

TEST_F(ConfigurationProgram, EverySourceReachesTheSpeech) {
  const std::string config = write_file("config.toml", "seed = 11\nmax-frames = 2\n[preset.five]\nmax-frames = 5\n");
  const nlohmann::json by_file = spoken({"--config", config});
  EXPECT_EQ(by_file.at("seed"), 11);
  EXPECT_EQ(by_file.at("frames"), 2);
  EXPECT_EQ(spoken({"--config", config, "--preset", "five"}).at("frames"), 5);
  Surroundings variables;
  variables.environment = {"CSM_CONFIG=" + config, "CSM_PRESET=five", "CSM_MAX_FRAMES=3"};
  EXPECT_EQ(spoken({}, variables).at("frames"), 3);
  EXPECT_EQ(spoken({"--max-length", "4"}, variables).at("frames"), 4);
  EXPECT_EQ(spoken({"--max_audio_length_ms", "80"}, variables).at("frames"), 1);
  EXPECT_EQ(spoken({"--no-config", "--preset=exact", "--max-frames", "1"}).at("frames"), 1);
}

TEST_F(ConfigurationProgram, TheUsualFileIsReadAndMayBeLeftOut) {
  const Arguments save = {"config", "--seed", "21", "--max-frames", "1", "--save-config", path("csm/config.toml")};
  ASSERT_EQ(run(save).code, 0);
  Surroundings surroundings;
  surroundings.environment = {"XDG_CONFIG_HOME=" + path("")};
  EXPECT_EQ(spoken({}, surroundings).at("seed"), 21);
  EXPECT_NE(spoken({"--no-config", "--max-frames", "1"}, surroundings).at("seed"), 21);
  write_file("csm/config.toml", "sed = 1\n");
  EXPECT_TRUE(fails_with(run({"speak", "x", "-o", path("x.wav")}, surroundings), 2, "config.toml' line 1: unknown key 'sed'; did you mean 'speech.seed'?"));
  EXPECT_EQ(run({"doctor"}, surroundings).code, 0) << "what needs no settings works with a bad file";
  EXPECT_EQ(run({"help", "speak"}, surroundings).code, 0);
}

TEST_F(ConfigurationProgram, PrintAndSaveDoNothingElse) {
  const Outcome printed = run({"codec", "encode", "--print-config", "--cpu-only", "--preset", "small"});
  EXPECT_EQ(printed.code, 0) << printed.err;
  EXPECT_NE(printed.out.find("# --cpu-only"), std::string::npos) << printed.out;
  EXPECT_NE(printed.out.find("codec-dtype = \"f16\""), std::string::npos) << printed.out;
  const Outcome saved = run({"speak", "--topk", "9", "--save-config", path("saved.toml")});
  EXPECT_EQ(saved.code, 0) << saved.err;
  EXPECT_NE(read_file(path("saved.toml")).find("[sampling]\ntop-k = 9\n"), std::string::npos);
  EXPECT_EQ(files(), std::vector<std::string>{"saved.toml"});
  Surroundings full;
  full.max_file_bytes = 10;
  EXPECT_TRUE(fails_with(run({"speak", "--topk", "8", "--save-config", path("saved.toml")}, full), 1, "saved.toml"));
  EXPECT_NE(read_file(path("saved.toml")).find("top-k = 9"), std::string::npos) << "the old file stays";
  EXPECT_EQ(files(), std::vector<std::string>{"saved.toml"});
}

TEST_F(ConfigurationProgram, MistakesOfTheCommandLine) {
  EXPECT_TRUE(fails_with(run({"speak", "x", "--cpu-only", "--device", "cpu"}), 2, "the same setting"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "--preset", "kalm"}), 2, "did you mean 'calm'?"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "--config", path("none.toml")}), 1, "none.toml"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "--max-seconds", "1", "--max-length", "5"}), 2, "exclude each other"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "--max-audio-length-ms", "-1"}), 2, "--max-audio-length-ms: expected a number above 0"));
  EXPECT_TRUE(fails_with(run({"help", "speek"}), 2, "did you mean 'speak'?"));
  EXPECT_TRUE(fails_with(run({"completions", "tcsh"}), 2, "tcsh"));
}

TEST_F(ConfigurationProgram, HelpIsTheSameBothWays) {
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
  EXPECT_EQ(run({"help", "codec", "encode"}).out, run({"codec", "encode", "--help"}).out);
}

// What a shell would offer for a command line that ends in `words`.
std::string offered_by_bash(const std::string& script, const std::string& words) {
  const std::string command = "bash -c 'source " + script + "; COMP_WORDS=(" + words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _csm; echo ${COMPREPLY[@]}'";
  std::string offered;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) offered += buffer;
  ::pclose(pipe);
  return offered;
}

TEST_F(ConfigurationProgram, BashCompletesCommandsFlagsAndValues) {
  const std::string script = write_file("csm.bash", run({"completions", "bash"}).out);
  EXPECT_EQ(offered_by_bash(script, "csm sp"), "speak\n");
  EXPECT_EQ(offered_by_bash(script, "csm codec e"), "encode\n");
  EXPECT_EQ(offered_by_bash(script, "csm speak --max-s"), "--max-seconds\n");
  EXPECT_EQ(offered_by_bash(script, "csm speak x --dtype b"), "bf16\n");
  EXPECT_EQ(offered_by_bash(script, "csm speak x --dtype = f1"), "f16\n");
  EXPECT_EQ(offered_by_bash(script, "csm speak x --preset ca"), "calm\n");
  EXPECT_EQ(offered_by_bash(script, "csm completions f"), "fish\n");
  EXPECT_EQ(offered_by_bash(script, "csm speak --model " + path("csm.b")), path("csm.bash") + "\n");
}

TEST_F(ConfigurationProgram, OtherShellsTakeTheirScripts) {
  for (const char* shell : {"zsh", "fish"}) {
    const std::string script = write_file(std::string("csm.") + shell, run({"completions", shell}).out);
    EXPECT_NE(read_file(script).find("max-seconds"), std::string::npos);
    if (std::system((std::string("command -v ") + shell + " > /dev/null").c_str()) != 0) continue;
    EXPECT_EQ(std::system((std::string(shell) + " -n " + script).c_str()), 0) << shell << " finds a mistake";
  }
}

}  // namespace
}  // namespace csm::e2e
