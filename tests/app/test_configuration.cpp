// Where settings come from: the order of the sources, the file, presets, and what is said about mistakes in each.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/configuration.h"
#include "config/documentation.h"
#include "config/fields.h"
#include "files.h"
#include "flags.h"

namespace csm::app {
namespace {

namespace fs = std::filesystem;

class ConfigurationTest : public ::testing::Test {
 protected:
  ConfigurationTest() : folder_((fs::temp_directory_path() / ("csm_app_" + std::to_string(::getpid()))).string()) {
    fs::create_directories(folder_);
    sources_.command = "speak";
    sources_.config_path = "";
  }
  ~ConfigurationTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void file(const std::string& text) {
    std::ofstream(path("config.toml")) << text;
    sources_.config_path = path("config.toml");
  }
  void flag(const std::string& name, const std::string& value) {
    sources_.flags.push_back({find_field(name), value, Layer::kFlag, "--" + name});
  }

  std::string error() const {
    try {
      configure(sources_);
    } catch (const UsageError& failure) {
      EXPECT_EQ(std::string(failure.what()).find('\n'), std::string::npos);
      return failure.what();
    }
    return "";
  }
  // What is said of a file; its name is left out.
  std::string error_of(const std::string& text) {
    file(text);
    const std::string message = error(), where = "'" + path("config.toml") + "' ";
    EXPECT_EQ(message.rfind(where, 0), 0u) << message;
    return message.substr(std::min(where.size(), message.size()));
  }

  Sources sources_;
  std::string folder_;
};

TEST_F(ConfigurationTest, LaterSourcesWin) {
  file("[sampling]\ntemperature = 0.1\n[preset.mine]\ntemperature = 0.2\n");
  EXPECT_EQ(configure(sources_).settings.sampling.both.temperature, 0.1f);
  sources_.preset = "mine";
  EXPECT_EQ(configure(sources_).settings.sampling.both.temperature, 0.2f);
  sources_.environment = {"CSM_TEMPERATURE=0.3"};
  EXPECT_EQ(configure(sources_).settings.sampling.both.temperature, 0.3f);
  flag("temperature", "0.4");
  const Configuration last = configure(sources_);
  EXPECT_EQ(last.settings.sampling.both.temperature, 0.4f);
  EXPECT_EQ(last.values.at(find_field("temperature")).where, "--temperature");
}

TEST_F(ConfigurationTest, KeysMayBePlainOrInSectionsWithEitherDash) {
  file("seed = 5\nspeech.max_seconds = 2\n[sampling]\ntop_k = 7\n[depth]\ntop-k = 8\n[engine]\nquantize = 'q8_0'\n");
  const Settings settings = configure(sources_).settings;
  EXPECT_EQ(settings.speech.seed, 5u);
  EXPECT_EQ(settings.speech.max_seconds, 2.0);
  EXPECT_EQ(settings.sampling.both.top_k, 7);
  EXPECT_EQ(settings.sampling.depth.top_k, 8);
  EXPECT_EQ(settings.engine.quantize, "q8_0");
}

TEST_F(ConfigurationTest, MistakesInTheFileNameLineKeyAndWhatIsTaken) {
  EXPECT_EQ(error_of("[sampling]\ntemperatur = 1\n"),
            "line 2: unknown key 'sampling.temperatur'; did you mean 'sampling.temperature'?");
  EXPECT_EQ(error_of("\n\ntopk = 5\n"), "line 3: unknown key 'topk'; did you mean 'sampling.top-k'?");
  EXPECT_EQ(error_of("[speech]\ntop-k = 5\n"), "line 2: unknown key 'speech.top-k'; did you mean 'sampling.top-k'?");
  EXPECT_EQ(error_of("[samplings]\ntop-k = 5\n"), "line 1: unknown section [samplings]; did you mean [sampling]?");
  EXPECT_EQ(error_of("[sampling]\ntemperature = 'hot'\n"),
            "line 2: sampling.temperature: expected a number from 0 to 100, found \"hot\"");
  EXPECT_EQ(error_of("threads = -1\n"), "line 1: threads: expected a whole number from 0 to 1024, found '-1'");
  EXPECT_EQ(error_of("threads = 1.5\n"), "line 1: threads: expected a whole number from 0 to 1024, found 1.5");
  EXPECT_EQ(error_of("dtype = 'f23'\n"),
            "line 1: dtype: expected one of auto, f32, f16, bf16, found 'f23'; did you mean 'f32'?");
  EXPECT_EQ(error_of("greedy = 'yes'\n"), "line 1: greedy: expected true or false, found \"yes\"");
  EXPECT_EQ(error_of("model = 1\n"), "line 1: model: expected a text in quotes, found 1");
  EXPECT_EQ(error_of("seed = 1979-05-27\n"), "line 1: seed: expected a whole number from 0 to 18446744073709551615, found a date or time");
  EXPECT_EQ(error_of("seed = 1\n[speech]\nseed = 2\n"), "line 3: 'speech.seed' is set a second time; keep one of them");
  EXPECT_EQ(error_of("preset = 'calm'\n").substr(0, 32), "line 1: 'preset' must be a table");
  EXPECT_EQ(error_of("[preset.x]\nseeed = 2\n"), "line 2: unknown key 'preset.x.seeed'; did you mean 'speech.seed'?");
  EXPECT_EQ(error_of("seed = \n").substr(0, 17), "line 1: not TOML:");
}

TEST_F(ConfigurationTest, ValuesThatTheCommandDoesNotUseAreCheckedAllTheSame) {
  sources_.command = "tokenize";
  EXPECT_NE(error_of("[sampling]\ntop-p = 2\n").find("expected"), std::string::npos);
  sources_.command = "trace";
  file("dtype = 'bf16'\n");
  EXPECT_EQ(configure(sources_).settings.engine.dtype, "f32") << "trace has a setting of its own";
  file("[trace]\ndtype = 'f16'\n");
  EXPECT_EQ(configure(sources_).settings.engine.dtype, "f16");
}

TEST_F(ConfigurationTest, WhatExcludesEachOther) {
  file("temperature = 0.5\n");
  flag("greedy", "true");
  const Settings greedy = configure(sources_).settings;
  EXPECT_TRUE(greedy.sampling.greedy);
  EXPECT_FALSE(greedy.sampling.both.temperature) << "the later source replaces the earlier one";
  flag("depth-temperature", "1");
  EXPECT_EQ(error(), "--greedy and --depth-temperature exclude each other");
  sources_.flags = {};
  flag("greedy", "false");
  flag("temperature", "1");
  EXPECT_EQ(error(), "");
}

TEST_F(ConfigurationTest, Presets) {
  for (const Preset& preset : built_in_presets()) {
    sources_.preset = preset.name;
    EXPECT_EQ(error(), "");
    for (const Assignment& value : preset.values) {
      ASSERT_NE(value.field, nullptr) << preset.name;
      EXPECT_EQ(checked_value(*value.field, value.text, preset.name), value.text);
    }
  }
  file("[preset.calm]\nsampling.top-k = 9\n");
  sources_.preset = "calm";
  EXPECT_EQ(configure(sources_).settings.sampling.both.top_k, 9) << "the file's own takes the place of the built-in one";
  sources_.preset = "clam";
  EXPECT_NE(error().find("--preset: no preset 'clam', did you mean 'calm'?"), std::string::npos) << error();
  sources_.preset.reset();
  sources_.environment = {"CSM_PRESET=calm"};
  EXPECT_EQ(configure(sources_).settings.sampling.both.top_k, 9);
}

TEST_F(ConfigurationTest, TheEnvironment) {
  sources_.environment = {"CSM_TOP_K=5", "CSM_SEED=", "HOME=/x", "CSM_JOBS=2", "CSM_SOMETHING_ELSE_ENTIRELY=1"};
  const Settings settings = configure(sources_).settings;
  EXPECT_EQ(settings.sampling.both.top_k, 5);
  EXPECT_FALSE(settings.speech.seed) << "empty counts as unset";
  sources_.environment = {"CSM_TOP_K=many"};
  EXPECT_EQ(error(), "CSM_TOP_K: expected a whole number from 0 to 2147483647, found 'many'");
  sources_.environment = {"CSM_TOPK=5"};
  EXPECT_EQ(error(), "unknown variable CSM_TOPK in the environment; did you mean CSM_TOP_K?");
}

TEST_F(ConfigurationTest, WhereTheFileIs) {
  EXPECT_EQ(default_config_path({"HOME=/h", "XDG_CONFIG_HOME=/x"}), "/x/csm/config.toml");
  EXPECT_EQ(default_config_path({"HOME=/h"}), "/h/.config/csm/config.toml");
  EXPECT_EQ(default_config_path({}), "");
  sources_.config_path.reset();
  sources_.environment = {"XDG_CONFIG_HOME=" + folder_};
  EXPECT_EQ(configure(sources_).config_path, "") << "none there";
  write_text_file(path("csm/config.toml"), "seed = 3\n");
  EXPECT_EQ(configure(sources_).settings.speech.seed, 3u);
  sources_.environment.push_back("CSM_CONFIG=" + path("none.toml"));
  EXPECT_THROW(configure(sources_), Error) << "one that was named must be there";
}

TEST_F(ConfigurationTest, WhatIsPrintedOrSavedReadsBackTheSame) {
  file("model = 'a \"b\" \\c'\n[preset.'my own']\ntop-k = 3\n");
  flag("seed", "7");
  const Configuration before = configure(sources_);
  for (const std::string& text : {effective_config(before), saved_config(before)}) {
    sources_.flags = {};
    file(text);
    const Settings after = configure(sources_).settings;
    EXPECT_EQ(after.engine.model, "a \"b\" \\c") << text;
    EXPECT_EQ(after.speech.seed, 7u) << text;
  }
  sources_.preset = "my own";
  EXPECT_EQ(configure(sources_).settings.sampling.both.top_k, 3) << "presets are saved as well";
}

TEST_F(ConfigurationTest, FilesAreWrittenWhole) {
  write_text_file(path("new/folder/a.toml"), "one");
  fs::create_symlink(path("new/folder/a.toml"), path("link.toml"));
  write_text_file(path("link.toml"), "two");
  EXPECT_TRUE(fs::is_symlink(path("link.toml")));
  std::ifstream file(path("new/folder/a.toml"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(path("new/folder")), {}), 1) << "no temporary file is left";
  EXPECT_THROW(write_text_file(folder_, "x"), Error);
}

TEST(Documentation, ThePageIsCurrent) {
  std::ifstream file(CSM_DOCS_DIR "/configuration.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(page == configuration_markdown()) << "run: csm config --markdown > docs/configuration.md";
}

}  // namespace
}  // namespace csm::app
