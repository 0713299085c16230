// csm::bench on the tiny synthetic shape and on real tiny checkpoints: what it reports must be consistent; how fast it
// was is not judged here.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include <csm/bench.h>
#include <csm/error.h>

#include "backends/registry.h"

namespace csm {
namespace {

const std::string kCheckpoints = std::string(CSM_TEST_DATA) + "/ckpt/";

BenchOptions tiny() {
  BenchOptions options;
  options.shape = "tiny";
  options.quantize = "";
  options.dtype = "f32";
  options.n_threads = 1;
  options.context = 12;
  options.n_frames = 4;
  options.rounds = 3;
  return options;
}

const BenchLine& line_of(const BenchReport& report, const std::string& part, const std::string& path = "best") {
  const auto found = std::find_if(report.lines.begin(), report.lines.end(),
                                  [&](const BenchLine& line) { return line.part == part && line.path == path; });
  EXPECT_NE(found, report.lines.end()) << part << " " << path;
  return found != report.lines.end() ? *found : report.lines.front();
}

void expect_error(const BenchOptions& options, ErrorCode code, const std::string& text) {
  try {
    bench(options);
    ADD_FAILURE() << "expected an error with '" << text << "'";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

TEST(Bench, AllPartsOnBothPaths) {
  BenchOptions options = tiny();
  options.paths = {"naive", "best"};
  const BenchReport report = bench(options);
  ASSERT_EQ(report.lines.size(), options.parts.size() * 2);
  ASSERT_EQ(report.ratios.size(), options.parts.size());
  for (size_t i = 0; i < options.parts.size(); ++i) {
    EXPECT_EQ(report.lines[2 * i].part, options.parts[i]);
    EXPECT_EQ(report.lines[2 * i].path, "naive");
    EXPECT_EQ(report.lines[2 * i + 1].part, options.parts[i]);
    EXPECT_EQ(report.lines[2 * i + 1].path, "best");
    EXPECT_EQ(report.ratios[i].part, options.parts[i]);
    EXPECT_GT(report.ratios[i].low, 0);
    EXPECT_LE(report.ratios[i].low, report.ratios[i].median);
    EXPECT_LE(report.ratios[i].median, report.ratios[i].high);
  }
}

TEST(Bench, LinesAreConsistentAndBytesAddUp) {
  const BenchReport report = bench(tiny());
  EXPECT_TRUE(report.ratios.empty());
  for (const BenchLine& line : report.lines) {
    EXPECT_GT(line.best_ms, 0) << line.part;
    EXPECT_LE(line.best_ms, line.median_ms) << line.part;
    const bool reads_weights = line.part != "mark" && line.part != "find-mark";
    EXPECT_EQ(line.bytes_read > 0, reads_weights) << line.part;
    EXPECT_GT(line.probe_before_gbps, 0) << line.part;
    EXPECT_GT(line.probe_after_gbps, 0) << line.part;
    const double gbps = static_cast<double>(line.bytes_read) / (line.median_ms * 1e6);
    EXPECT_NEAR(line.efficiency, gbps / std::max(line.probe_before_gbps, line.probe_after_gbps), 1e-9) << line.part;
    EXPECT_EQ(line.n_threads, 1) << line.part;
    EXPECT_EQ(line.batch, 1) << line.part;
    EXPECT_EQ(line.weight_bytes, report.lines.front().weight_bytes) << line.part;
    EXPECT_GT(line.peak_memory_bytes, line.weight_bytes) << line.part;
  }
  const auto bytes = [&](const char* part) { return line_of(report, part).bytes_read; };
  EXPECT_EQ(bytes("frame"), bytes("backbone") + bytes("depth") + bytes("mimi"));
  EXPECT_EQ(bytes("e2e"), 4 * bytes("frame"));
  EXPECT_EQ(bytes("prefill"), bytes("backbone"));
  // Two layers of 256: q, o; k, v of half the rows; gate, up and down.
  EXPECT_EQ(bytes("backbone"), 4u * 2 * 256 * (256 + 256 + 128 + 128 + 3 * 256));
}

TEST(Bench, SetUpHappensInTheNaiveWayOnly) {
  if (!make_backend("auto")->plans_graphs()) GTEST_SKIP() << "every frame of this backend makes its graph anew";
  BenchOptions options = tiny();
  options.parts = {"backbone", "depth", "mimi", "frame", "e2e"};
  options.paths = {"best", "naive"};
  const BenchReport report = bench(options);
  for (const std::string& part : options.parts) EXPECT_EQ(line_of(report, part).setups_per_run, 0u) << part;
  EXPECT_GE(line_of(report, "depth", "naive").setups_per_run, 3u);  // a graph for each step
  EXPECT_GE(line_of(report, "frame", "naive").setups_per_run, line_of(report, "depth", "naive").setups_per_run);
  EXPECT_GE(line_of(report, "e2e", "naive").setups_per_run, 3 * line_of(report, "frame", "naive").setups_per_run);
}

TEST(Bench, RealTimeFactorIsTimeOverSound) {
  BenchOptions options = tiny();
  options.parts = {"depth", "mimi", "frame", "e2e"};
  const BenchReport report = bench(options);
  constexpr double kFrameMs = 1000.0 * 2 * 4 * 2 / 24'000;  // the tiny codec's ratios are 4 and 2
  EXPECT_EQ(line_of(report, "depth").real_time_factor, 0);
  for (const std::string part : {"mimi", "frame"}) {
    EXPECT_NEAR(line_of(report, part).real_time_factor, line_of(report, part).median_ms / kFrameMs, 1e-6) << part;
  }
  EXPECT_NEAR(line_of(report, "e2e").real_time_factor, line_of(report, "e2e").median_ms / (4 * kFrameMs), 1e-6);
}

TEST(Bench, EndToEndTimesAreInOrder) {
  BenchOptions options = tiny();
  options.parts = {"e2e", "frame"};
  const BenchReport report = bench(options);
  const BenchLine& line = line_of(report, "e2e");
  EXPECT_GT(line.prefill_ms, 0);
  EXPECT_GT(line.first_audio_ms, line.prefill_ms);
  EXPECT_GT(line.p95_frame_ms, 0);
  EXPECT_LE(line.p95_frame_ms, line.max_frame_ms);
  EXPECT_EQ(line_of(report, "frame").prefill_ms, 0);
  EXPECT_EQ(line_of(report, "frame").max_frame_ms, 0);
}

TEST(Bench, SmallerTypesReadLess) {
  BenchOptions options = tiny();
  options.parts = {"backbone", "depth", "mimi"};
  const BenchReport f32 = bench(options);
  options.dtype = "f16";
  options.codec_dtype = "f16";
  const BenchReport f16 = bench(options);
  options.quantize = "backbone=q4_0,depth=q8_0";
  const BenchReport mixed = bench(options);
  EXPECT_EQ(line_of(f16, "backbone").bytes_read * 2, line_of(f32, "backbone").bytes_read);
  EXPECT_EQ(line_of(f16, "depth").bytes_read * 2, line_of(f32, "depth").bytes_read);
  EXPECT_LT(line_of(f16, "mimi").bytes_read, line_of(f32, "mimi").bytes_read);
  EXPECT_EQ(line_of(mixed, "backbone").bytes_read * 32, line_of(f16, "backbone").bytes_read * 9);
  EXPECT_EQ(line_of(mixed, "depth").bytes_read * 32, line_of(f16, "depth").bytes_read * 17);
  EXPECT_LT(line_of(mixed, "depth").weight_bytes, line_of(f32, "depth").weight_bytes);
  EXPECT_EQ(line_of(f32, "backbone").type, "f32");
  EXPECT_EQ(line_of(f16, "mimi").type, "f16");
  EXPECT_EQ(line_of(mixed, "depth").type, "backbone=q4_0,depth=q8_0");
}

TEST(Bench, EveryKeyValueTypeRuns) {
  for (const std::string type : {"f32", "f16", "q8_0"}) {
    BenchOptions options = tiny();
    options.parts = {"backbone", "e2e"};
    options.kv_type = type;
    options.rounds = 1;
    EXPECT_EQ(bench(options).lines.size(), 2u) << type;
  }
}

TEST(Bench, ABatchSharesOnePassOfTheDepthDecoder) {
  BenchOptions options = tiny();
  options.parts = {"backbone", "depth", "mimi", "prefill", "e2e"};
  options.rounds = 1;
  const BenchReport one = bench(options);
  options.batch = 3;
  const BenchReport three = bench(options);
  EXPECT_EQ(line_of(three, "backbone").bytes_read, 3 * line_of(one, "backbone").bytes_read);
  EXPECT_EQ(line_of(three, "depth").bytes_read, line_of(one, "depth").bytes_read);
  EXPECT_EQ(line_of(three, "mimi").bytes_read, 3 * line_of(one, "mimi").bytes_read);
  EXPECT_EQ(line_of(three, "e2e").batch, 3);
  EXPECT_EQ(line_of(three, "prefill").batch, 1);
}

TEST(Bench, OnlyWhatAPartNeedsIsLoaded) {
  BenchOptions options = tiny();
  options.parts = {"mimi"};
  const uint64_t codec = bench(options).lines.front().weight_bytes;
  options.parts = {"depth"};
  const uint64_t language_model = bench(options).lines.front().weight_bytes;
  options.parts = {"frame"};
  EXPECT_EQ(bench(options).lines.front().weight_bytes, codec + language_model);
}

TEST(Bench, TheDepthDecoderAloneNeedsNoContext) {
  BenchOptions options = tiny();
  options.parts = {"depth"};
  options.context = 100'000;
  options.rounds = 1;
  EXPECT_EQ(bench(options).lines.front().context, 1);
}

TEST(Bench, RealCheckpoints) {
  for (const std::string name : {"csm-tiny-a", "csm-tiny-b", "csm-tiny-f/original"}) {
    BenchOptions options = tiny();
    options.model = kCheckpoints + name;
    options.parts = {"prefill", "frame", "e2e"};
    options.context = 8;
    options.rounds = 1;
    const BenchReport report = bench(options);
    EXPECT_EQ(report.lines.size(), options.parts.size()) << name;
    EXPECT_GT(line_of(report, "e2e").real_time_factor, 0) << name;
  }
}

TEST(Bench, ACodecAloneHasOnePart) {
  BenchOptions options = tiny();
  options.model = kCheckpoints + "mimi-tiny-c";
  options.parts = {"mimi"};
  const BenchReport report = bench(options);
  ASSERT_EQ(report.lines.size(), 1u);
  EXPECT_EQ(report.lines.front().context, 0);
  EXPECT_GT(report.lines.front().real_time_factor, 0);
  options.parts = {"mimi", "depth"};
  expect_error(options, ErrorCode::kUnsupported, "codec alone");
}

TEST(Bench, TellsWhatItIsDoing) {
  BenchOptions options = tiny();
  options.parts = {"depth"};
  std::vector<std::string> said;
  options.on_progress = [&](const std::string& line) { said.push_back(line); };
  bench(options);
  ASSERT_EQ(said.size(), 1u + 3);
  EXPECT_NE(said[0].find("tiny"), std::string::npos);
  EXPECT_EQ(said[1], "depth: round 1 of 3");
  EXPECT_EQ(said[3], "depth: round 3 of 3");
}

TEST(Bench, TheMachineIsDescribed) {
  BenchOptions options = tiny();
  options.parts = {"mimi"};
  options.rounds = 1;
  const std::string machine = bench(options).machine;
  EXPECT_NE(machine.find("cores"), std::string::npos);
  EXPECT_NE(machine.find("GB"), std::string::npos);
  EXPECT_EQ(machine.find('\n'), std::string::npos);
}

TEST(Bench, BadOptionsAreNamed) {
  const auto expect_bad = [](const std::function<void(BenchOptions&)>& change, const std::string& text) {
    BenchOptions options = tiny();
    change(options);
    expect_error(options, ErrorCode::kInvalidArgument, text);
  };
  expect_bad([](BenchOptions& o) { o.parts = {}; }, "no part");
  expect_bad([](BenchOptions& o) { o.parts = {"vocoder"}; }, "vocoder");
  expect_bad([](BenchOptions& o) { o.paths = {}; }, "no path");
  expect_bad([](BenchOptions& o) { o.paths = {"fast"}; }, "expected best or naive");
  expect_bad([](BenchOptions& o) { o.paths = {"best", "best"}; }, "twice");
  expect_bad([](BenchOptions& o) { o.shape = "huge"; }, "csm-1b, tiny");
  expect_bad([](BenchOptions& o) { o.quantize = "q3_K"; }, "q3_K");
  expect_bad([](BenchOptions& o) { o.dtype = "f8"; }, "f8");
  expect_bad([](BenchOptions& o) { o.codec_dtype = "q8_0"; }, "codec dtype");
  expect_bad([](BenchOptions& o) { o.kv_type = "q4_0"; }, "kv type");
  expect_bad([](BenchOptions& o) { o.backend = "cuda"; }, "cuda");
  expect_bad([](BenchOptions& o) { o.n_threads = -1; }, "threads");
  expect_bad([](BenchOptions& o) { o.batch = 0; }, "batch is 0; expected 1");
  expect_bad([](BenchOptions& o) { o.context = 0; }, "context is 0");
  expect_bad([](BenchOptions& o) { o.n_frames = 0; }, "frames is 0");
  expect_bad([](BenchOptions& o) { o.rounds = 0; }, "rounds is 0");
  expect_bad([](BenchOptions& o) { o.context = 1024; }, "smaller context");  // the window of tiny
  expect_bad([](BenchOptions& o) { o.n_frames = 1000; }, "smaller number of frames");
}

TEST(Bench, AMissingModelIsNotFound) {
  BenchOptions options = tiny();
  options.model = kCheckpoints + "no-such-model";
  expect_error(options, ErrorCode::kNotFound, "no-such-model");
}

}  // namespace
}  // namespace csm
