// csm bench: that it measures what was asked for, on shapes that take no time. Not how fast.
#include "program.h"

namespace csm::e2e {
namespace {

class Bench : public ProgramTest {
 protected:
  static Outcome bench(const Arguments& more) {
    Arguments arguments = {"bench", "--shape", "tiny", "--rounds", "2", "--threads",
                           "1",     "--ctx",   "16",   "--frames", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(Bench, JsonHoldsALineForEachPart) {
  const Outcome outcome = bench({"--json", "--part", "backbone,depth,mimi,prefill,frame,e2e"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.empty()) << outcome.err;
  const nlohmann::json report = outcome.json();
  std::vector<std::string> parts;
  for (const auto& line : report.at("lines")) {
    parts.push_back(line.at("part"));
    EXPECT_GT(line.at("median_ms"), 0.0);
    EXPECT_LE(line.at("best_ms"), line.at("median_ms"));
    EXPECT_GT(line.at("bytes_read"), 0);
    EXPECT_EQ(line.at("threads"), 1);
    EXPECT_EQ(line.at("path"), "best");
    EXPECT_GT(line.at("probe_before_gbps"), 0.0);
  }
  EXPECT_EQ(parts, (std::vector<std::string>{"backbone", "depth", "mimi", "prefill", "frame", "e2e"}));
  EXPECT_TRUE(report.at("ratios").empty());
}

TEST_F(Bench, CompareMeasuresBothPaths) {
  const Outcome outcome = bench({"--json", "--part", "frame", "--compare", "naive,best", "--quantize", "q4_0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = outcome.json();
  ASSERT_EQ(report.at("lines").size(), 2u);
  ASSERT_EQ(report.at("ratios").size(), 1u);
  EXPECT_EQ(report.at("ratios").at(0).at("part"), "frame");
  EXPECT_LE(report.at("ratios").at(0).at("low"), report.at("ratios").at(0).at("median"));
}

TEST_F(Bench, TableAndRealModel) {
  const Outcome outcome = run({"bench", "--model", data("ckpt/csm-tiny-b"), "--part", "depth", "--part", "mimi",
                               "--rounds", "2", "--threads", "1", "--ctx", "16", "--type", "", "--dtype", "f32"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  for (const char* part : {"median ms", "GB/s", "\ndepth", "\nmimi"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
  }
}

TEST_F(Bench, WrongRequestsAreRefused) {
  EXPECT_TRUE(fails_with(bench({"--part", "spleen"}), 2, "spleen"));
  EXPECT_TRUE(fails_with(bench({"--path", "fast"}), 2, "fast"));
  EXPECT_TRUE(fails_with(bench({"--rounds", "0"}), 2, "rounds"));
  EXPECT_TRUE(fails_with(bench({"--batch", "-1"}), 2, "batch"));
  EXPECT_TRUE(fails_with(bench({"--quantize", "q3"}), 2, "q3"));
  EXPECT_TRUE(fails_with(bench({"--path", "best", "--compare", "naive,best"}), 2, "either"));
  EXPECT_TRUE(fails_with(run({"bench", "--shape", "huge"}), 2, "huge"));
  EXPECT_TRUE(fails_with(run({"bench", "--model", path("none"), "--rounds", "1"}), 1, "none"));
}

}  // namespace
}  // namespace csm::e2e
