// Bad input of every kind: one clear line, the right exit code, nothing left under the final name or beside it.
#include <csm/audio.h>

#include <cmath>
#include <filesystem>

#include "program.h"

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

class BadInput : public ProgramTest {
 protected:
  Arguments speak(const Arguments& more) const {
    Arguments arguments = {"speak", "--model", demo_model(), "--threads", "1", "-o", path("out.wav")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

nlohmann::json malformed_cases() {
  return nlohmann::json::parse(read_file(data("malformed/manifest.json"))).at("cases");
}

// A file may be rejected or taken; what it may never do is crash the program or make it talk nonsense.
void expect_outcome(const Outcome& outcome, const std::string& expectation) {
  if (expectation == "accept") EXPECT_EQ(outcome.code, 0) << outcome.err;
  if (expectation == "error") EXPECT_TRUE(fails_with(outcome, 1));
  if (expectation == "either" && outcome.code != 0) EXPECT_TRUE(fails_with(outcome, 1));
}

TEST_F(BadInput, MissingFilesAndEmptyDirectories) {
  EXPECT_TRUE(fails_with(run({"speak", "Hi.", "--model", path("none"), "-o", path("out.wav")}), 1, "none"));
  fs::create_directory(path("empty"));
  EXPECT_TRUE(fails_with(run({"speak", "Hi.", "--model", path("empty"), "-o", path("out.wav")}), 1, "config.json"));
  EXPECT_TRUE(fails_with(run({"inspect", path("empty")}), 1, "config.json"));
  EXPECT_TRUE(fails_with(run({"inspect", path("none")}), 1, "none"));
  EXPECT_TRUE(fails_with(run({"tokenize", "x", "--model", path("empty")}), 1));
  EXPECT_TRUE(fails_with(run({"codec", "encode", path("none.wav"), "-o", path("out.safetensors")}), 1, "none.wav"));
  EXPECT_TRUE(fails_with(run(speak({"--text-file", path("none.txt")})), 1, "none.txt"));
  EXPECT_TRUE(fails_with(run(speak({"Hi.", "--context", path("none.json")})), 1, "none.json"));
  EXPECT_TRUE(
      fails_with(run(speak({"Hi.", "--context-text", "x", "--context-audio", path("none.wav")})), 1, "none.wav"));
  EXPECT_TRUE(fails_with(run(speak({"--text-file", path("empty")})), 1, "empty"));
  Surroundings surroundings;
  surroundings.environment = {"CSM_MODEL=" + path("none")};
  EXPECT_TRUE(fails_with(run({"speak", "Hi.", "-o", path("out.wav")}, surroundings), 1, "none"));
  EXPECT_EQ(files(), std::vector<std::string>{"empty"});
}

TEST_F(BadInput, TextsThatCannotBeSpoken) {
  EXPECT_TRUE(fails_with(run(speak({""})), 1, "empty"));
  EXPECT_TRUE(fails_with(run(speak({" \n "})), 1, "empty"));
  EXPECT_TRUE(fails_with(run(speak({"--text-file", write_file("empty.txt", "")})), 1, "empty"));
  EXPECT_TRUE(fails_with(run(speak({"-"})), 1, "empty"));
  EXPECT_TRUE(fails_with(run(speak({"abc\xFF"})), 1, "UTF-8"));
  std::string text;
  while (text.size() < 100'000) text += "All work and no play. ";
  text.resize(100'000);
  EXPECT_TRUE(fails_with(run(speak({text})), 1, "window"));
  EXPECT_TRUE(fails_with(run(speak({"--text-file", write_file("long.txt", text)})), 1, "window"));
  EXPECT_TRUE(
      fails_with(run(speak({"--text-file", write_file("spaceless.txt", std::string(100'000, 'a'))})), 1, "window"));
  EXPECT_EQ(files(), (std::vector<std::string>{"empty.txt", "long.txt", "spaceless.txt"}));
}

TEST_F(BadInput, ContextsThatCannotBeUsed) {
  const auto context = [&](const std::string& audio) {
    return speak({"Hi.", "--context-text", "Hello.", "--context-audio", audio});
  };
  EXPECT_TRUE(fails_with(run(context(write_file("zero.wav", ""))), 1, "zero.wav"));
  EXPECT_TRUE(fails_with(run(context(write_file("words.wav", "no audio"))), 1, "words.wav"));
  Audio minutes;
  minutes.sample_rate_hz = 24'000;
  minutes.samples.resize(24'000 * 200);
  write_audio(path("minutes.wav"), minutes, SampleFormat::kInt16);
  EXPECT_TRUE(fails_with(run(context(path("minutes.wav"))), 1, "window"));
  EXPECT_EQ(files(), (std::vector<std::string>{"minutes.wav", "words.wav", "zero.wav"}));
}

TEST_F(BadInput, OutputsThatCannotBeWritten) {
  const Arguments hi = {"speak", "Hi.", "--model", demo_model(), "--threads", "1", "--seed", "1", "-o"};
  const auto to = [&](const std::string& file) {
    Arguments arguments = hi;
    arguments.push_back(file);
    return arguments;
  };
  EXPECT_TRUE(fails_with(run(to("/dev/full")), 1, "No space left"));
  EXPECT_TRUE(fails_with(run(to(path("none/out.wav"))), 1, "none"));
  EXPECT_TRUE(fails_with(run(to(path("out.xyz"))), 1, "xyz"));
  EXPECT_TRUE(fails_with(run(to(path(""))), 1, "directory"));
  Surroundings full;
  full.output_path = "/dev/full";
  EXPECT_TRUE(fails_with(run(to("-"), full), 1, "No space left"));
  EXPECT_TRUE(fails_with(run({"tokenize", "Hi.", "--json", "--model", demo_model()}, full), 1, "No space left"));
  EXPECT_TRUE(
      fails_with(run({"speak", "Hi.", "--model", demo_model(), "--dump-prompt", "/dev/full"}), 1, "No space left"));
  EXPECT_TRUE(fails_with(run({"codec", "encode", data("audio/s16_mono_24k.wav"), "-o", "/dev/full", "--threads", "1",
                              "--model", demo_model()}),
                         1, "No space left"));
  Surroundings small;  // a disk that is full after so many bytes
  small.max_file_bytes = 1'000;
  EXPECT_TRUE(fails_with(run(to(path("out.wav")), small), 1, "out.wav"));
  small.max_file_bytes = 100;
  EXPECT_TRUE(fails_with(run({"speak", "Hi.", "--model", demo_model(), "--dump-prompt", path("p.safetensors")}, small),
                         1, "p.safetensors"));
  EXPECT_TRUE(files().empty());
}

TEST_F(BadInput, AFailedRunLeavesTheOldFileAlone) {
  write_file("out.wav", "what was there");
  EXPECT_EQ(run(speak({""})).code, 1);
  Surroundings small;
  small.max_file_bytes = 1'000;
  EXPECT_EQ(run(speak({"Hi."}), small).code, 1);
  EXPECT_EQ(read_file(path("out.wav")), "what was there");
  EXPECT_EQ(files(), std::vector<std::string>{"out.wav"});
}

TEST_F(BadInput, MalformedSafetensorsFiles) {
  for (const auto& entry : malformed_cases()) {
    if (entry.at("target") != "safetensors") continue;
    SCOPED_TRACE(entry.at("path").get<std::string>());
    expect_outcome(run({"inspect", data("malformed/" + entry.at("path").get<std::string>())}), entry.at("expect"));
  }
}

TEST_F(BadInput, MalformedModels) {
  for (const auto& entry : malformed_cases()) {
    if (entry.at("target") != "model" && entry.at("target") != "json") continue;
    const std::string file = entry.at("path");
    SCOPED_TRACE(file);
    fs::remove_all(path("model"));
    fs::copy(data("ckpt/nano"), path("model"));
    const std::string replaced = entry.at("target") == "json" ? "config.json" : fs::path(file).filename().string();
    fs::copy_file(data("malformed/" + file), path("model") + "/" + replaced, fs::copy_options::overwrite_existing);
    expect_outcome(run({"inspect", path("model")}), entry.at("expect"));
    if (entry.at("expect") != "error") continue;
    EXPECT_TRUE(fails_with(run({"speak", "Hi", "--model", path("model"), "--threads", "1", "-o", path("out.wav")}), 1));
  }
  EXPECT_EQ(files(), std::vector<std::string>{"model"});
}

TEST_F(BadInput, MalformedWavFiles) {
  for (const auto& entry : malformed_cases()) {
    if (entry.at("target") != "wav") continue;
    SCOPED_TRACE(entry.at("path").get<std::string>());
    const Outcome outcome = run({"codec", "encode", data("malformed/" + entry.at("path").get<std::string>()), "-o",
                                 path("out.safetensors"), "--model", data("ckpt/nano"), "--threads", "1"});
    expect_outcome(outcome, entry.at("expect"));
    EXPECT_EQ(files().empty(), outcome.code != 0);
    fs::remove(path("out.safetensors"));
  }
}

TEST_F(BadInput, AFileNameCannotBreakTheLine) {
  EXPECT_TRUE(fails_with(run({"inspect", path("two\nlines\x1b[31m")}), 1));
}

}  // namespace
}  // namespace csm::e2e
