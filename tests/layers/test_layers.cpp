// The sources keep to the layers, stay short, and the rules that say so notice when they do not.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "include_rules.h"

namespace layers {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxLines = 600;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool is_table(const std::string& path) { return fs::path(path).extension() == ".inc"; }

// Every header, source and table below the given folders of the repository, relative to it.
std::set<std::string> find_sources(const std::vector<std::string>& folders) {
  const fs::path root = CSM_SOURCE_DIR;
  std::set<std::string> files;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".h" || extension == ".cpp" || extension == ".inc")
        files.insert(entry.path().lexically_relative(root).generic_string());
    }
  }
  return files;
}

Sources repository() {
  return {parse_table(read(CSM_LAYER_TABLE)), find_sources({"include", "src", "apps", "examples"})};
}

std::vector<std::string> check_all(const Sources& sources) {
  std::vector<std::string> all;
  for (const std::string& path : sources.files) {
    for (const std::string& line : violations(sources, path, read(fs::path(CSM_SOURCE_DIR) / path)))
      all.push_back(line);
  }
  return all;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(Layers, EveryIncludeGoesDownward) {
  const Sources sources = repository();
  ASSERT_GT(sources.files.size(), 20u) << "the sources were not found";
  const std::vector<std::string> wrong = check_all(sources);
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
}

TEST(Layers, TableHasNoCycleAndMatchesTheFolders) {
  const Sources sources = repository();
  for (const auto& [folder, allowed] : sources.table) {
    EXPECT_TRUE(fs::is_directory(fs::path(CSM_SOURCE_DIR) / "src" / folder)) << folder;
    EXPECT_EQ(allowed.count(folder), 0u) << folder << " uses itself";
    for (const std::string& below : allowed) {
      ASSERT_EQ(sources.table.count(below), 1u) << folder << " uses " << below;
      EXPECT_EQ(sources.table.at(below).count(folder), 0u) << folder << " and " << below << " use each other";
    }
  }
}

// The order of the design, whatever the table says: text -> tokens -> frames -> codes -> samples -> bytes.
TEST(Layers, TableKeepsToTheDesign) {
  const std::vector<std::string> order = {
      "base",      "io",    "text",    "reading",       "audio",        "playback/portaudio",
      "playback",  "model", "prompt",  "backends/ggml", "backends/mlx", "backends",
      "watermark", "hub",   "cache",   "convert",       "engine",       "voice"};
  const Table table = repository().table;
  const auto rank = [&](const std::string& folder) {
    return std::find(order.begin(), order.end(), folder) - order.begin();
  };
  for (const auto& [folder, allowed] : table) {
    EXPECT_LT(rank(folder), static_cast<std::ptrdiff_t>(order.size())) << folder << " has no place in the design";
    for (const std::string& below : allowed) EXPECT_LT(rank(below), rank(folder)) << folder << " uses " << below;
  }
}

TEST(Layers, FilesStayShort) {
  for (const std::string& path : find_sources({"include", "src", "apps", "examples", "tests", "bench"})) {
    if (is_table(path)) continue;
    const std::string text = read(fs::path(CSM_SOURCE_DIR) / path);
    const size_t n_lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    EXPECT_LE(n_lines, kMaxLines) << path << ": split it";
  }
}

TEST(Layers, ExamplesAreUnder60Lines) {
  for (const std::string& path : find_sources({"examples"})) {
    const std::string text = read(fs::path(CSM_SOURCE_DIR) / path);
    EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 60) << path;
  }
}

// The rules on made-up files.
class IncludeRules : public ::testing::Test {
 protected:
  const Sources sources_{
      parse_table("base\nio base\ntext io base\naudio io base\nbackends/ggml io base\nbackends backends/ggml io\n"),
      {"include/csm/audio.h", "src/base/fail.h", "src/io/file.h", "src/text/bpe.h", "src/audio/wav.h",
       "src/backends/backend.h", "src/backends/ggml/graph.h", "apps/csm/flags.h", "apps/csm/config/field.h"}};

  size_t n_wrong(const std::string& path, const std::string& include) const {
    return violations(sources_, path, "// comment\n#include " + include + "\n").size();
  }
};

TEST_F(IncludeRules, DownwardAndOwnFolderAreAllowed) {
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "\"io/file.h\""), 0u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "\"text/bpe.h\""), 0u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "\"bpe.h\""), 0u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "<csm/audio.h>"), 0u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "<vector>"), 0u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "<fmt/format.h>"), 0u);
  EXPECT_EQ(n_wrong("src/backends/registry.cpp", "\"backends/ggml/graph.h\""), 0u);
}

TEST_F(IncludeRules, UpwardAndSidewaysAreNot) {
  EXPECT_EQ(n_wrong("src/io/file.cpp", "\"text/bpe.h\""), 1u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "\"audio/wav.h\""), 1u);
  EXPECT_EQ(n_wrong("src/base/fail.h", "\"io/file.h\""), 1u);
  EXPECT_EQ(n_wrong("src/backends/ggml/graph.cpp", "\"backends/backend.h\""), 1u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "\"../audio/wav.h\""), 1u);
  EXPECT_EQ(n_wrong("src/text/bpe.cpp", "<audio/wav.h>"), 1u);
  EXPECT_EQ(n_wrong("src/new/thing.cpp", "\"base/fail.h\""), 1u);
}

TEST_F(IncludeRules, ProgramsSeeThePublicHeadersOnly) {
  EXPECT_EQ(n_wrong("apps/csm/main.cpp", "<csm/audio.h>"), 0u);
  EXPECT_EQ(n_wrong("apps/csm/main.cpp", "\"flags.h\""), 0u);
  EXPECT_EQ(n_wrong("apps/csm/main.cpp", "\"config/field.h\""), 0u);
  EXPECT_EQ(n_wrong("apps/csm/config/field.cpp", "\"flags.h\""), 0u);
  EXPECT_EQ(n_wrong("apps/other/main.cpp", "\"config/field.h\""), 1u);
  EXPECT_EQ(n_wrong("apps/csm/main.cpp", "\"io/file.h\""), 1u);
  EXPECT_EQ(n_wrong("apps/csm/main.cpp", "<csm/none.h>"), 1u);
}

TEST_F(IncludeRules, PublicHeadersStandOnTheStandardLibrary) {
  EXPECT_EQ(n_wrong("include/csm/audio.h", "<string>"), 0u);
  EXPECT_EQ(n_wrong("include/csm/audio.h", "<fmt/format.h>"), 1u);
  EXPECT_EQ(n_wrong("include/csm/audio.h", "\"io/file.h\""), 1u);
  EXPECT_EQ(n_wrong("include/csm/audio.h", "<ggml.h>"), 1u);
}

TEST_F(IncludeRules, EveryIncludeIsSeenWithItsLine) {
  const std::vector<Include> found =
      find_includes("#pragma once\n\n  #  include <a.h>\n#ifdef NEVER\n#include \"b/c.h\"  // why\n#endif\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].line, 3);
  EXPECT_FALSE(found[0].quoted);
  EXPECT_EQ(found[1].path, "b/c.h");
  EXPECT_TRUE(found[1].quoted);
}

}  // namespace
}  // namespace layers
