// csm convert to GGUF: the command, what it prints, what it leaves behind when it is stopped or the disk is full.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "program.h"

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

class ConvertCommand : public ProgramTest {
 protected:
  std::string nano() const { return data("ckpt/nano"); }
};

TEST_F(ConvertCommand, WritesAModelThatSpeaks) {
  const Outcome converted = run({"convert", demo_model(), path("demo.gguf"), "--type", "q8_0,tables=f16"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_NE(converted.err.find("59 of them quantised"), std::string::npos) << converted.err;
  EXPECT_EQ(converted.out, "");
  EXPECT_EQ(files(), std::vector<std::string>{"demo.gguf"});
  const Outcome spoken = run({"speak", "Hello.", "--model", path("demo.gguf"), "-o", path("a.wav"), "--seed", "3", "--json"});
  ASSERT_EQ(spoken.code, 0) << spoken.err;
  const Outcome expected = run({"speak", "Hello.", "--model", demo_model(), "--quantize", "q8_0", "-o", path("b.wav"), "--seed", "3", "--json"});
  ASSERT_EQ(expected.code, 0) << expected.err;
  EXPECT_EQ(read_file(path("a.wav")), read_file(path("b.wav"))) << "the demo's tables are f16 already";
}

TEST_F(ConvertCommand, InspectShowsIt) {
  const Outcome converted = run({"convert", nano(), path("nano.gguf"), "--json"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_EQ(converted.err, "");
  EXPECT_EQ(converted.json().at("bytes"), fs::file_size(path("nano.gguf")));
  const nlohmann::json report = run({"inspect", path("nano.gguf"), "--json"}).json();
  EXPECT_EQ(report.at("kind"), "csm");
  EXPECT_EQ(report.at("layout"), "gguf");
  EXPECT_EQ(run({"tokenize", "--model", path("nano.gguf"), "Hi there", "--json"}).out,
            run({"tokenize", "--model", nano(), "Hi there", "--json"}).out);
}

TEST_F(ConvertCommand, DryRunWritesNothing) {
  const Outcome plan = run({"convert", demo_model(), path("demo.gguf"), "--type", "q4_K,depth=q6_K", "--dry-run", "--json"});
  ASSERT_EQ(plan.code, 0) << plan.err;
  EXPECT_TRUE(files().empty());
  const nlohmann::json report = plan.json();
  ASSERT_EQ(run({"convert", demo_model(), path("demo.gguf"), "--type", "q4_K,depth=q6_K", "--quiet"}).code, 0);
  EXPECT_EQ(report.at("bytes"), fs::file_size(path("demo.gguf")));
  EXPECT_EQ(report.at("tensors").size(), 205u);
  const Outcome words = run({"convert", demo_model(), path("other.gguf"), "--dry-run"});
  EXPECT_NE(words.err.find("nothing was written"), std::string::npos);
  EXPECT_EQ(words.out, "");
}

TEST_F(ConvertCommand, WhatCannotWorkIsOneLine) {
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a.gguf"), "--type", "q3_K"}), 2, "q3_K"));
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a.gguf"), "--type", "q8_0"}), 1, "blocks of 32"));
  EXPECT_TRUE(fails_with(run({"convert", path("none"), path("a.gguf")}), 1, "none"));
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("no/a.gguf")}), 1, "no"));
  EXPECT_TRUE(fails_with(run({"convert", nano()}), 2));
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a")}), 2, ".gguf"));
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a.gguf"), "--bits", "4"}), 2, "--to mlx"));
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a"), "--to", "mlx", "--type", "f16"}), 2, "--type"));
  EXPECT_TRUE(files().empty());
}

TEST_F(ConvertCommand, MalformedGgufFilesEndInOneLine) {
  int n_cases = 0;
  const nlohmann::json manifest = nlohmann::json::parse(read_file(data("malformed/manifest.json")));
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("target") != "gguf") continue;
    ++n_cases;
    const std::string file = data("malformed/" + entry.at("path").get<std::string>());
    const Outcome outcome = run({"inspect", file});
    if (entry.at("expect") == "accept") EXPECT_EQ(outcome.code, 0) << file << outcome.err;
    if (entry.at("expect") == "error") EXPECT_TRUE(fails_with(outcome, 1)) << file;
    EXPECT_TRUE(fails_with(run({"convert", file, path("a.gguf")}), 1)) << file;
  }
  EXPECT_GE(n_cases, 24);
  EXPECT_TRUE(files().empty());
}

TEST_F(ConvertCommand, AFullDiskLeavesNothing) {
  Surroundings full;
  full.max_file_bytes = 20'000;
  EXPECT_TRUE(fails_with(run({"convert", nano(), path("a.gguf")}, full), 1, "a.gguf"));
  EXPECT_TRUE(files().empty());
}

// Whatever moment it is killed at, a file of the final name is whole.
TEST_F(ConvertCommand, KilledItLeavesNothingUnderTheFinalName) {
  std::mt19937 random(7);
  int n_unfinished = 0;
  for (int i = 0; i < 12; ++i) {
    {
      const Running program({"convert", demo_model(), path("demo.gguf"), "--type", "q4_K"});
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
      program.signal(SIGKILL);
    }
    if (!fs::exists(path("demo.gguf"))) {
      ++n_unfinished;
      continue;
    }
    EXPECT_EQ(run({"inspect", path("demo.gguf")}).code, 0);
    fs::remove(path("demo.gguf"));
  }
  EXPECT_GT(n_unfinished, 0) << "none was killed in time";
  ASSERT_EQ(run({"convert", demo_model(), path("demo.gguf"), "--type", "q4_K"}).code, 0) << "the next run finishes";
  EXPECT_EQ(run({"inspect", path("demo.gguf")}).code, 0);
}

TEST_F(ConvertCommand, InterruptedItLeavesNothing) {
  Running program({"convert", demo_model(), path("demo.gguf"), "--type", "q4_K"});
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  program.signal(SIGINT);
  const Outcome outcome = program.wait();
  if (outcome.code == 0) {
    EXPECT_TRUE(fs::exists(path("demo.gguf")));  // it was quicker
  } else {
    EXPECT_EQ(outcome.code, 130) << outcome.err;
    EXPECT_TRUE(files().empty());
  }
}

}  // namespace
}  // namespace csm::e2e
