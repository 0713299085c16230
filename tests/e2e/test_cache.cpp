// csm cache, and the settings of the MLX backend on the command line.
#include <filesystem>
#include <fstream>

#include "program.h"

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

class CacheCommand : public ProgramTest {
 protected:
  Outcome run_cached(const Arguments& arguments) const {
    Surroundings surroundings;
    surroundings.environment = {"CSM_WEIGHT_CACHE=" + path("cache")};
    return run(arguments, surroundings);
  }
  bool has_mlx() const {
    const nlohmann::json report = run({"doctor", "--json"}).json();
    return report.dump().find("\"mlx\"") != std::string::npos;
  }
};

TEST_F(CacheCommand, IsEmptyAtFirst) {
  const Outcome listed = run_cached({"cache"});
  EXPECT_EQ(listed.code, 0);
  EXPECT_EQ(listed.out, "");
  EXPECT_NE(listed.err.find(path("cache")), std::string::npos) << listed.err;
  EXPECT_TRUE(run_cached({"cache", "--json"}).json().at("entries").empty());
  EXPECT_EQ(run_cached({"cache", "clear"}).code, 0);
  EXPECT_TRUE(files().empty()) << "looking makes nothing";
}

TEST_F(CacheCommand, SettingsAreChecked) {
  for (const char* flag : {"--weight-cache-limit", "--mlx-cache-limit", "--mlx-memory-limit", "--mlx-wired-limit", "--mlx-clear-cache"}) {
    EXPECT_TRUE(fails_with(run({"speak", "hi", "-o", path("a.wav"), flag, "12 apples"}), 2, "12 apples")) << flag;
  }
  Surroundings odd;
  odd.environment = {"CSM_WEIGHT_CACHE_LIMIT=many"};
  EXPECT_TRUE(fails_with(run({"cache"}, odd), 2, "CSM_WEIGHT_CACHE_LIMIT"));
}

TEST_F(CacheCommand, SpeakingFillsItAndClearEmptiesIt) {
  if (!has_mlx()) GTEST_SKIP() << "only the MLX backend converts";
  const Arguments speak = {"speak", "hi", "--backend", "mlx", "-m", data("ckpt/nano"), "--seed", "1", "--max-seconds", "0.3", "-o"};
  const auto spoken = [&](const std::string& name) {
    Arguments arguments = speak;
    arguments.push_back(path(name));
    const Outcome outcome = run_cached(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  };
  EXPECT_EQ(spoken("a.wav").err.find("converted anew"), std::string::npos);
  const nlohmann::json all = run_cached({"cache", "--json"}).json();
  ASSERT_EQ(all.at("entries").size(), 2u);
  const std::string file = all.at("entries")[0].at("path");
  std::ofstream(file, std::ios::app) << "x";
  EXPECT_NE(spoken("b.wav").err.find("converted anew"), std::string::npos);
  EXPECT_EQ(spoken("c.wav").err.find("converted anew"), std::string::npos);
  EXPECT_EQ(read_file(path("a.wav")), read_file(path("b.wav")));
  EXPECT_EQ(read_file(path("a.wav")), read_file(path("c.wav")));
  EXPECT_EQ(run_cached({"cache", "clear"}).code, 0);
  EXPECT_TRUE(run_cached({"cache", "--json"}).json().at("entries").empty());
}

}  // namespace
}  // namespace csm::e2e
