// csm batch: many lines, one file each, failures that stop nothing, and going on where it stopped.
#include <csm/audio.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "program.h"

namespace csm::e2e {
namespace {

class BatchProgram : public ProgramTest {
 protected:
  Arguments batch(const std::string& lines, const Arguments& more = {}) const {
    Arguments arguments = {"batch",      lines,       "-o", path("out"),    "--model",
                           demo_model(), "--threads", "1",  "--max-frames", "6"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // The manifest's entries by file.
  std::map<std::string, nlohmann::json> manifest() const {
    std::map<std::string, nlohmann::json> entries;
    std::istringstream text(read_file(path("out/manifest.jsonl")));
    for (std::string line; std::getline(text, line);) {
      const nlohmann::json entry = nlohmann::json::parse(line);
      entries[entry.at("file")] = entry;
    }
    return entries;
  }
};

TEST_F(BatchProgram, OneFileForEachLineAndNothingTwice) {
  const std::string lines = write_file("lines.txt", "Good morning.\n\nHow are you?\n");
  const Outcome first = run(batch(lines, {"--json"}));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.json().at("spoken"), 2);
  EXPECT_GT(read_audio(path("out/00001.wav")).seconds(), 0.05);
  EXPECT_GT(read_audio(path("out/00003.wav")).seconds(), 0.05);
  const std::string before = read_file(path("out/00001.wav"));
  EXPECT_EQ(manifest().at("00003.wav").at("status"), "done");

  const Outcome second = run(batch(lines, {"--json"}));
  EXPECT_EQ(second.json().at("spoken"), 0);
  EXPECT_EQ(second.json().at("there_already"), 2);
  EXPECT_TRUE(read_file(path("out/00001.wav")) == before);

  std::filesystem::remove(path("out/00003.wav"));
  write_file("lines.txt", "Good evening.\n\nHow are you?\nGood night.\n");
  const Outcome third = run(batch(lines, {"--json"}));
  EXPECT_EQ(third.json().at("spoken"), 3) << "one changed, one gone, one new";
  EXPECT_EQ(run(batch(lines, {"--json", "--anew"})).json().at("spoken"), 3);
}

TEST_F(BatchProgram, LockStepGivesWhatEachLineGivesAlone) {
  const std::string lines =
      write_file("lines.jsonl",
                 "{\"text\": \"Good morning.\", \"seed\": 1, \"file\": \"a.wav\"}\n"
                 "{\"text\": \"How are you today?\", \"seed\": 2, \"speaker\": 1, \"file\": \"b.wav\"}\n"
                 "{\"text\": \"Fine.\", \"seed\": 3, \"temperature\": 0.3, \"file\": \"sub/c.flac\"}\n");
  ASSERT_EQ(run(batch(lines, {"--batch", "3"})).code, 0);
  const std::string together =
      read_file(path("out/a.wav")) + read_file(path("out/b.wav")) + read_file(path("out/sub/c.flac"));
  ASSERT_EQ(run(batch(lines, {"--anew"})).code, 0);
  EXPECT_TRUE(together ==
              read_file(path("out/a.wav")) + read_file(path("out/b.wav")) + read_file(path("out/sub/c.flac")));
  ASSERT_EQ(run({"speak", "How are you today?", "--speaker", "1", "--seed", "2", "--model", demo_model(), "--threads",
                 "1", "--max-frames", "6", "-o", path("alone.wav")})
                .code,
            0);
  EXPECT_TRUE(read_file(path("alone.wav")) == read_file(path("out/b.wav")));
}

TEST_F(BatchProgram, FailuresAreListedAndStopNothing) {
  std::string endless;
  for (int i = 0; i < 3000; ++i) endless += "far too long ";
  const std::string lines =
      write_file("lines.jsonl", "{\"text\": \"Good morning.\"}\nnonsense\n{\"text\": \"" + endless +
                                    "\"}\n{\"text\": \"One.\", \"context\": \"missing.json\"}\n"
                                    "{\"text\": \"Good night.\"}\n");
  for (const char* n_together : {"1", "2"}) {
    const Outcome outcome = run(batch(lines, {"--batch", n_together, "--json"}));
    EXPECT_EQ(outcome.code, 1);
    const nlohmann::json result = outcome.json();
    EXPECT_EQ(result.at("failed"), 3) << outcome.err;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(result.at("errors").at(static_cast<size_t>(i)).at("line"), i + 2) << "in order";
    for (const char* part : {"line 2: ", "line 3: ", "line 4: "})
      EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_GT(read_audio(path("out/00005.wav")).seconds(), 0.05);
    EXPECT_EQ(manifest().at("00003.wav").at("status"), "failed");
  }
  EXPECT_FALSE(std::filesystem::exists(path("out/00003.wav")));
}

TEST_F(BatchProgram, StandardInputAndOutputFlags) {
  Surroundings surroundings;
  surroundings.input = "{\"text\": \"Good morning.\", \"voice\": \"male\"}\n{\"text\": \"And you?\", \"sample-rate\": 8000}\n";
  Arguments arguments =
      batch("-", {"--format", "flac", "--sample-rate", "16000", "--loudness", "-20", "--tag", "album=Lines"});
  ASSERT_EQ(run(arguments, surroundings).code, 0);
  EXPECT_EQ(read_audio(path("out/00001.flac")).sample_rate_hz, 16'000);
  EXPECT_EQ(read_audio(path("out/00002.flac")).sample_rate_hz, 8'000);
  EXPECT_NE(read_file(path("out/00001.flac")).find("Lines"), std::string::npos);
}

TEST_F(BatchProgram, BadCommandLines) {
  EXPECT_TRUE(fails_with(run(batch(path("missing.txt"))), 1, "missing.txt"));
  EXPECT_TRUE(fails_with(run(batch(write_file("empty.txt", "\n \n"))), 1, "no lines"));
  EXPECT_TRUE(fails_with(run(batch(write_file("a.txt", "One."), {"--batch", "0"})), 2, "whole number from 1"));
  EXPECT_TRUE(fails_with(run({"batch", path("a.txt")}), 2, "--output"));
  write_file("out", "a file");
  EXPECT_TRUE(fails_with(run(batch(path("a.txt"))), 1, "cannot create the folder"));
}

TEST_F(BatchProgram, CtrlCLeavesOnlyWholeFiles) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "Good morning to all of you.\n";
  Running program(batch(write_file("lines.txt", text)));
  for (int i = 0; i < 3000 && !std::filesystem::exists(path("out/00002.wav")); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  program.signal(SIGINT);
  EXPECT_EQ(program.wait().code, 130);
  size_t n_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path("out"))) {
    const std::string name = entry.path().filename().string();
    if (name == "manifest.jsonl") continue;
    ASSERT_EQ(entry.path().extension(), ".wav") << name;
    EXPECT_GT(read_audio(entry.path().string()).seconds(), 0.05);
    ++n_files;
  }
  EXPECT_GE(n_files, 2u);
  EXPECT_LT(n_files, 200u);
  EXPECT_EQ(manifest().size(), n_files);
}

}  // namespace
}  // namespace csm::e2e
