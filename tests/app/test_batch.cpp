// The lines of a batch and its manifest: what is read, what is refused line by line, what counts as the same request.
#include <csm/error.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "batch/lines.h"
#include "batch/manifest.h"

namespace csm::app {
namespace {

std::vector<BatchLine> read(const std::string& text, BatchFormat format = BatchFormat::kJson) {
  return read_batch(text, format, Settings(), "/folder");
}

BatchLine only(const std::string& text) {
  const std::vector<BatchLine> lines = read(text);
  EXPECT_EQ(lines.size(), 1u);
  return lines.at(0);
}

TEST(BatchLines, PlainLines) {
  const std::vector<BatchLine> lines = read("One.\r\n\n  \nTwo, {not json}.\n", BatchFormat::kText);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "One.");
  EXPECT_EQ(lines[0].file, "00001.wav");
  EXPECT_EQ(lines[1].text, "Two, {not json}.");
  EXPECT_EQ(lines[1].number, 4u);
  EXPECT_EQ(lines[1].file, "00004.wav");
  EXPECT_TRUE(read("", BatchFormat::kText).empty());
}

TEST(BatchLines, FormatsByNameAndByLook) {
  EXPECT_EQ(batch_format("a.jsonl", "words"), BatchFormat::kJson);
  EXPECT_EQ(batch_format("a.txt", "{}"), BatchFormat::kText);
  EXPECT_EQ(batch_format("-", " {}"), BatchFormat::kJson);
  EXPECT_EQ(batch_format("-", "words"), BatchFormat::kText);
}

TEST(BatchLines, ALineSetsWhatItNames) {
  Settings settings;
  settings.speech.speaker = 3;
  settings.output.format = "flac";
  settings.speech.max_seconds = 9;
  const std::vector<BatchLine> lines = read_batch(
      "{\"text\": \"Hi.\", \"speaker\": 1, \"seed\": 18446744073709551615, \"temperature\": 0.25, \"top_k\": 7, "
      "\"greedy\": false, "
      "\"max-frames\": 5, \"file\": \"a/./b.mp3\", \"context\": \"talk.json\"}\n{\"text\": \"Plain.\"}",
      BatchFormat::kJson, settings, "/folder");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].error, "");
  EXPECT_EQ(lines[0].settings.speech.speaker, 1);
  EXPECT_EQ(lines[0].settings.speech.seed, 18446744073709551615u);
  EXPECT_EQ(lines[0].settings.sampling.both.temperature, 0.25f);
  EXPECT_EQ(lines[0].settings.sampling.both.top_k, 7);
  EXPECT_EQ(lines[0].settings.speech.max_frames, 5);
  EXPECT_FALSE(lines[0].settings.speech.max_seconds.has_value()) << "max-frames stands instead of it";
  EXPECT_EQ(lines[0].file, "a/b.mp3");
  EXPECT_EQ(lines[0].context, "/folder/talk.json");
  EXPECT_EQ(lines[1].settings.speech.speaker, 3);
  EXPECT_EQ(lines[1].file, "00002.flac");
  EXPECT_EQ(lines[1].context, "");
}

TEST(BatchLines, WhatIsWrongIsSaidForEachLine) {
  const std::pair<const char*, const char*> bad[] = {
      {"not json", "not JSON"},
      {"[1]", "found array"},
      {"{\"text\": 1}", "\"text\": expected a text, found number"},
      {"{\"speaker\": 1}", "no \"text\""},
      {"{\"text\": \" \"}", "no \"text\""},
      {"{\"text\": \"a\", \"temprature\": 1}", "did you mean \"temperature\"?"},
      {"{\"text\": \"a\", \"temperature\": -1}", "\"temperature\": expected a number"},
      {"{\"text\": \"a\", \"temperature\": null}", "found null"},
      {"{\"text\": \"a\", \"speaker\": 1.5}", "whole number"},
      {"{\"text\": \"a\", \"model\": \"b\"}", "unknown key \"model\""},
      {"{\"text\": \"a\", \"file\": \"../b.wav\"}", "inside the output folder"},
      {"{\"text\": \"a\", \"file\": \"/b.wav\"}", "inside the output folder"},
      {"{\"text\": \"a\", \"file\": \"b/\"}", "inside the output folder"},
      {"{\"text\": \"a\", \"file\": \"./manifest.jsonl\"}", "choose another name"},
      {"{\"text\": \"a\", \"loudness\": -16, \"format\": \"mp4\"}", "'mp4'"},
  };
  for (const auto& [text, part] : bad) {
    const std::vector<BatchLine> lines = read(std::string("{\"text\": \"good\"}\n") + text + "\n{\"text\": \"good\"}");
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].error + lines[2].error, "");
    EXPECT_EQ(lines[1].number, 2u);
    EXPECT_NE(lines[1].error.find(part), std::string::npos) << lines[1].error;
    EXPECT_EQ(lines[1].error.find('\n'), std::string::npos);
  }
}

TEST(BatchLines, TwoLinesCannotShareAFile) {
  const std::vector<BatchLine> lines =
      read("{\"text\": \"a\", \"file\": \"x.wav\"}\n{\"text\": \"b\", \"file\": \"./x.wav\"}");
  EXPECT_EQ(lines[0].error, "");
  EXPECT_NE(lines[1].error.find("line 1"), std::string::npos) << lines[1].error;
}

TEST(BatchLines, FingerprintFollowsWhatIsHeard) {
  const std::string plain = fingerprint(only("{\"text\": \"Hi.\"}"), {});
  EXPECT_EQ(plain.size(), 16u);
  EXPECT_EQ(fingerprint(only("{\"text\": \"Hi.\"}"), {}), plain);
  EXPECT_EQ(fingerprint(only("{\"text\": \"Hi.\", \"file\": \"other.wav\"}"), {}), plain);
  for (const char* other :
       {"{\"text\": \"Hi!\"}", "{\"text\": \"Hi.\", \"speaker\": 1}", "{\"text\": \"Hi.\", \"seed\": 0}",
        "{\"text\": \"Hi.\", \"temperature\": 0.1}", "{\"text\": \"Hi.\", \"loudness\": -16}"}) {
    EXPECT_NE(fingerprint(only(other), {}), plain) << other;
  }
  Turn turn;
  turn.text = "Before.";
  const std::string with_turn = fingerprint(only("{\"text\": \"Hi.\"}"), {turn});
  EXPECT_NE(with_turn, plain);
  turn.codes = Codes{{1, 2}, 2};
  EXPECT_NE(fingerprint(only("{\"text\": \"Hi.\"}"), {turn}), with_turn);
  BatchLine line = only("{\"text\": \"Hi.\"}");
  line.settings.engine.n_threads = 3;
  EXPECT_EQ(fingerprint(line, {}), plain) << "threads change nothing";
  line.settings.engine.quantize = "q8_0";
  EXPECT_NE(fingerprint(line, {}), plain);
}

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() : folder_(std::filesystem::temp_directory_path() / ("csm-manifest-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ManifestTest() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& bytes) const { std::ofstream(folder_ / name) << bytes; }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static Json entry(int line, const std::string& file, const std::string& request, const std::string& status) {
    return {{"line", line}, {"file", file}, {"request", request}, {"status", status}};
  }
  std::filesystem::path folder_;
};

TEST_F(ManifestTest, DoneIsAWholeFileOfTheSameRequest) {
  Manifest manifest(folder_.string());
  EXPECT_FALSE(manifest.is_done("a.wav", "1"));
  manifest.add(entry(2, "a.wav", "1", "done"));
  EXPECT_FALSE(manifest.is_done("a.wav", "1")) << "the file is not there";
  write("a.wav", "sound");
  EXPECT_TRUE(manifest.is_done("a.wav", "1"));
  EXPECT_FALSE(manifest.is_done("a.wav", "2"));
  EXPECT_TRUE(Manifest(folder_.string()).is_done("a.wav", "1")) << "read again";
  manifest.add(entry(2, "a.wav", "1", "failed"));
  EXPECT_FALSE(Manifest(folder_.string()).is_done("a.wav", "1")) << "the last entry holds";
  write("a.wav", "");
  manifest.add(entry(2, "a.wav", "1", "done"));
  EXPECT_FALSE(manifest.is_done("a.wav", "1")) << "empty";
}

TEST_F(ManifestTest, IsWrittenInOrderAndOneEntryEach) {
  Manifest manifest(folder_.string());
  manifest.add(entry(10, "b.wav", "1", "failed"));
  manifest.add(entry(2, "a.wav", "1", "done"));
  manifest.add(entry(10, "b.wav", "1", "done"));
  manifest.write_in_order();
  EXPECT_EQ(read("manifest.jsonl"),
            "{\"line\":2,\"file\":\"a.wav\",\"request\":\"1\",\"status\":\"done\"}\n"
            "{\"line\":10,\"file\":\"b.wav\",\"request\":\"1\",\"status\":\"done\"}\n");
}

TEST_F(ManifestTest, DamagedLinesAreLeftOut) {
  write("a.wav", "sound");
  write("manifest.jsonl",
        "nonsense\n[]\n{\"file\": 3}\n{\"file\": \"b.wav\", \"status\": 1, \"line\": \"x\"}\n"
        "{\"file\":\"a.wav\",\"request\":\"1\",\"status\":\"done\"}\n{\"file\":\"a.wav\",\"requ");
  Manifest manifest(folder_.string());
  EXPECT_TRUE(manifest.is_done("a.wav", "1"));
  EXPECT_FALSE(manifest.is_done("b.wav", "1"));
  manifest.add(entry(1, "c.wav", "1", "done"));
  manifest.write_in_order();
  EXPECT_TRUE(Manifest(folder_.string()).is_done("a.wav", "1"));
}

}  // namespace
}  // namespace csm::app
