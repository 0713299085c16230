// csm convert --to mlx as a person runs it: every option, a bar on a terminal, errors, and what is left behind.
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#include <util.h>
#else
#include <pty.h>
#endif

#include <algorithm>
#include <filesystem>

#include "program.h"

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

class ConvertToMlx : public ProgramTest {
 protected:
  nlohmann::json convert(const std::string& model, const std::string& out, const Arguments& more = {}) const {
    Arguments arguments = {"convert", model, path(out), "--to", "mlx", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.json();
  }
  nlohmann::json config(const std::string& directory) const {
    return nlohmann::json::parse(read_file(path(directory + "/config.json")));
  }
  // The program with a terminal for all of its words.
  std::string on_terminal(const Arguments& arguments) const {
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
      std::vector<char*> words = {const_cast<char*>(CSM_BUILD_DIR "/csm")};
      for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
      words.push_back(nullptr);
      ::execv(words[0], words.data());
      ::_exit(127);
    }
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(terminal, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(terminal);
    EXPECT_EQ(WEXITSTATUS(status), 0) << text;
    return text;
  }
};

TEST_F(ConvertToMlx, FromEveryLayoutAndTypeItSpeaks) {
  for (const char* name : {"hf-f32", "hf-bf16", "hf-f16", "hf-sharded-bf16", "original"}) {
    const std::string source = data("ckpt/csm-tiny-f/") + name;
    const nlohmann::json report = convert(source, name, {"--dtype", "f32"});
    EXPECT_GT(report.at("tensors"), 20);
    EXPECT_EQ(report.at("quantised"), 0);
    const auto speak = [&](const std::string& model, const std::string& out) {
      const Outcome spoken = run({"speak", "hi", "-m", model, "--greedy", "--max-seconds", "0.3", "-o", path(out)});
      EXPECT_EQ(spoken.code, 0) << spoken.err;
      return read_file(path(out));
    };
    EXPECT_EQ(speak(path(name), "a.wav"), speak(source, "b.wav")) << name;
  }
}

TEST_F(ConvertToMlx, OptionsDecideTypesAndSizes) {
  const nlohmann::json f16 = convert(demo_model(), "f16");
  const nlohmann::json bf16 = convert(demo_model(), "bf16", {"--dtype", "bf16"});
  const nlohmann::json small = convert(demo_model(), "q4", {"--bits", "4", "--group-size", "32"});
  const nlohmann::json mixed = convert(demo_model(), "mixed", {"--bits", "backbone=8,depth=3", "--dtype", "f32"});
  EXPECT_EQ(f16.at("bytes").get<int64_t>() / 1000, bf16.at("bytes").get<int64_t>() / 1000);
  EXPECT_LT(small.at("bytes"), f16.at("bytes"));
  EXPECT_EQ(config("q4").at("quantization").at("bits"), 4);
  EXPECT_EQ(config("q4").at("quantization").at("group_size"), 32);
  EXPECT_GT(mixed.at("quantised"), 40);
  EXPECT_EQ(run({"speak", "Hello.", "-m", path("mixed"), "-o", path("a.wav")}).code, 0);
  EXPECT_NE(run({"inspect", path("q4")}).code, 1);
}

TEST_F(ConvertToMlx, FloatGgufFilesAreATargetToo) {
  ASSERT_EQ(run({"convert", demo_model(), path("demo.gguf"), "--quiet"}).code, 0);
  convert(path("demo.gguf"), "mlx", {"--dtype", "f32"});
  convert(demo_model(), "direct", {"--dtype", "f32"});
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    EXPECT_TRUE(read_file(path(std::string("mlx/") + name)) == read_file(path(std::string("direct/") + name))) << name;
  }
  // The codec's biases are f32 in GGUF and f16 in the checkpoint: other bytes, the same values.
  for (const char* name : {"mlx", "direct"}) {
    ASSERT_EQ(run({"speak", "Hello.", "-m", path(name), "--greedy", "-o", path(std::string(name) + ".wav")}).code, 0);
  }
  EXPECT_TRUE(read_file(path("mlx.wav")) == read_file(path("direct.wav")));
  ASSERT_EQ(run({"convert", demo_model(), path("q8.gguf"), "--type", "q8_0", "--quiet"}).code, 0);
  EXPECT_TRUE(fails_with(run({"convert", path("q8.gguf"), path("none"), "--to", "mlx"}), 1, "already quantised"));
  EXPECT_FALSE(fs::exists(path("none")));
}

TEST_F(ConvertToMlx, NamesComeFromAFile) {
  const std::string names = write_file("names.json", R"({"lm_head.": "first_head.", "backbone_model.layers.": "trunk."})");
  convert(data("ckpt/nano"), "named", {"--names", names});
  const std::string bytes = read_file(path("named/model.safetensors"));
  EXPECT_NE(bytes.find("\"first_head.weight\""), std::string::npos);
  EXPECT_NE(bytes.find("\"trunk.0.mlp.down_proj.weight\""), std::string::npos);
  const std::string twice = write_file("twice.json", R"({"embed_text_tokens.": "x.", "lm_head.": "x."})");
  EXPECT_TRUE(fails_with(run({"convert", data("ckpt/nano"), path("twice"), "--to", "mlx", "--names", twice}), 1, "'x.weight'"));
  const std::string bad = write_file("bad.json", R"({"lm_head.": 7})");
  EXPECT_TRUE(fails_with(run({"convert", data("ckpt/nano"), path("bad"), "--to", "mlx", "--names", bad}), 1, "lm_head."));
}

TEST_F(ConvertToMlx, WhatCannotWorkIsOneLineAndLeavesNothing) {
  const std::string nano = data("ckpt/nano");
  const auto refused = [&](const Arguments& more, int code, const std::string& part) {
    Arguments arguments = {"convert", nano, path("out"), "--to", "mlx"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_TRUE(fails_with(run(arguments), code, part)) << part;
    EXPECT_FALSE(fs::exists(path("out"))) << part;
    EXPECT_FALSE(fs::exists(path("out.partial"))) << part;
  };
  refused({"--bits", "5"}, 2, "5");
  refused({"--bits", "mimi=4"}, 2, "mimi=4");
  refused({"--bits", "4"}, 1, "group");
  refused({"--group-size", "48"}, 2, "48");
  refused({"--dtype", "int8"}, 2, "int8");
  refused({"--names", path("none.json")}, 1, "none.json");
  Surroundings full;
  full.max_file_bytes = 2000;
  EXPECT_TRUE(fails_with(run({"convert", nano, path("out"), "--to", "mlx"}, full), 1));
  EXPECT_TRUE(files().empty());
  write_file("taken", "a file");
  EXPECT_TRUE(fails_with(run({"convert", nano, path("taken"), "--to", "mlx"}), 1, "taken"));
  EXPECT_TRUE(fails_with(run({"convert", nano, path("no/such/parent"), "--to", "mlx"}, full), 1));
}

TEST_F(ConvertToMlx, ATerminalGetsABar) {
  const std::string text = on_terminal({"convert", data("ckpt/nano"), path("out"), "--to", "mlx"});
  EXPECT_NE(text.find("\r\x1b[K["), std::string::npos) << text;
  EXPECT_NE(text.find("########################] 100 %"), std::string::npos) << text;
  EXPECT_NE(text.find("tensors"), std::string::npos) << "the summary stays: " << text;
  const std::string quiet = on_terminal({"convert", data("ckpt/nano"), path("quiet"), "--to", "mlx", "--quiet"});
  EXPECT_EQ(quiet, "");
}

}  // namespace
}  // namespace csm::e2e
