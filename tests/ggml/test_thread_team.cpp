// When the threads of a crowded machine rest, and that results do not depend on it.
#include <gtest/gtest.h>

#include "backends/ggml/device.h"
#include "backends/ggml/graph.h"

namespace csm::ggml {
namespace {

// One second of graphs of 1 ms each with the given share of running time; returns when it first rested, or -1.
double run_second(CrowdWatch& watch, double start, double share) {
  for (int i = 1; i <= 1000; ++i) {
    const double now = start + i * 1e-3;
    if (watch.crowded(now)) return now;
    watch.observe(now, 1e-3, share * 1e-3);
  }
  return -1;
}

TEST(CrowdWatch, WorksOnWhileTheCallerRuns) {
  CrowdWatch watch;
  EXPECT_EQ(run_second(watch, 0, 0.95), -1);
  EXPECT_EQ(run_second(watch, 1, 0.8), -1);
}

TEST(CrowdWatch, RestsSoonWhenTheCallerWaits) {
  CrowdWatch watch;
  const double rested = run_second(watch, 0, 0.3);
  EXPECT_GT(rested, 0.0);
  EXPECT_LT(rested, 0.05);
}

TEST(CrowdWatch, OneLongGraphIsEnough) {
  CrowdWatch watch;
  watch.observe(0.5, 0.5, 0.1);
  EXPECT_TRUE(watch.crowded(0.51));
}

TEST(CrowdWatch, RestsGrowWhileItStaysCrowdedAndStartOverAfterwards) {
  CrowdWatch watch;
  double now = 0;
  double rest_before = 0;
  for (int i = 0; i < 8; ++i) {
    watch.observe(now, 0.2, 0.02);
    double until = now;
    while (watch.crowded(until)) until += 0.01;
    EXPECT_GE(until - now, rest_before - 0.011);
    EXPECT_LE(until - now, 8.1);
    rest_before = until - now;
    now = until;
  }
  EXPECT_GT(rest_before, 7.0);
  watch.observe(now, 0.2, 0.2);
  EXPECT_FALSE(watch.crowded(now + 0.001));
  watch.observe(now + 1, 0.2, 0.02);
  EXPECT_FALSE(watch.crowded(now + 1.5)) << "the first rest is short again";
}

TEST(Device, ComputesTheSameAloneAndInATeam) {
  const auto device = Device::open("cpu", 2);
  Graph graph(device, 8);
  ggml_tensor* weight = graph.input(GGML_TYPE_F32, 512, 512);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, 512, 40);
  ggml_tensor* y = ggml_mul_mat(graph.context(), weight, x);
  graph.output(y);
  graph.allocate();
  std::vector<float> values(512 * 512);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 1000) * 1e-3f - 0.5f;
  graph.set(weight, values);
  graph.set(x, std::span(values).first(512 * 40));
  std::vector<std::vector<float>> results;
  for (int run = 0; run < 3; ++run) {
    graph.run();
    results.emplace_back(512 * 40);
    graph.get(y, std::span<float>(results.back()));
  }
  const auto single = Device::open("cpu", 1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(single->n_threads(), 1);
}

}  // namespace
}  // namespace csm::ggml
