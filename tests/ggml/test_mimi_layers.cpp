// Parts of Mimi that the goldens reach only by way of whole streams: the ELU, the ring's mask, windows over memory that
// overlaps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "backends/ggml/elu.h"
#include "backends/ggml/mimi_layers.h"
#include "csm/error.h"

namespace csm::ggml {
namespace {

std::vector<float> run_elu(const std::vector<float>& values, int n_threads, bool in_place) {
  Graph graph(Device::open("cpu", n_threads), 16);
  const auto n = static_cast<int64_t>(values.size());
  ggml_tensor* x = graph.input(GGML_TYPE_F32, n);
  ggml_tensor* y =
      in_place ? cpu_elu_into(graph.context(), graph.input(GGML_TYPE_F32, n), x) : cpu_elu(graph.context(), x);
  graph.output(y);
  graph.allocate();
  graph.set(x, std::span<const float>(values));
  graph.run();
  std::vector<float> result(values.size());
  graph.get(y, std::span<float>(result));
  return result;
}

TEST(Elu, IsExpm1BelowZero) {
  std::vector<float> values;
  for (double x = -100; x < -1e-37; x *= 0.999) values.push_back(static_cast<float>(x));
  for (double x = -12; x < 4; x += 0.0017) values.push_back(static_cast<float>(x));
  for (const float x : {0.0f, -0.0f, 1e30f, -1e30f, -std::numeric_limits<float>::infinity(), 1e-40f, -1e-40f})
    values.push_back(x);
  const std::vector<float> result = run_elu(values, 1, false);
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = values[i] > 0 ? static_cast<double>(values[i]) : std::expm1(static_cast<double>(values[i]));
    EXPECT_NEAR(result[i], expected, 1.5e-7 * std::fabs(expected) + 1e-45) << values[i];
  }
}

TEST(Elu, DoesNotDependOnThreadsOrPlace) {
  for (const size_t n : {1u, 15u, 16u, 17u, 1000u, 4099u}) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = 3 * std::sin(static_cast<float>(i) * 0.7f);
    const auto expected = run_elu(values, 1, false);
    EXPECT_EQ(run_elu(values, 2, false), expected) << n;
    EXPECT_EQ(run_elu(values, 1, true), expected) << n;
    EXPECT_EQ(run_elu(values, 2, true), expected) << n;
  }
}

// Every step sees itself and the window - 1 steps before it, wherever they lie in the ring, and nothing else.
TEST(AttentionRing, MaskIsTheWindow) {
  constexpr int kWindow = 5;
  constexpr int kSteps = 2;
  AttentionRing ring(kWindow, kSteps);
  const int n_slots = ring.n_slots();
  ASSERT_GE(n_slots, kWindow + kSteps - 1);
  std::vector<int64_t> in_slot(static_cast<size_t>(n_slots), -1);
  for (int64_t first = 0; first < 6 * n_slots;) {
    const int n = first % 7 == 4 ? 1 : kSteps;
    std::vector<int32_t> positions(static_cast<size_t>(n));
    std::vector<int64_t> slots(static_cast<size_t>(n));
    std::vector<float> mask(static_cast<size_t>(n * n_slots));
    ring.advance(n, positions, slots, mask);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(positions[static_cast<size_t>(i)], first + i);
      in_slot.at(static_cast<size_t>(slots[static_cast<size_t>(i)])) = first + i;
    }
    for (int i = 0; i < n; ++i) {
      int64_t n_seen = 0;
      for (int slot = 0; slot < n_slots; ++slot) {
        const int64_t age = first + i - in_slot[static_cast<size_t>(slot)];
        const bool seen = in_slot[static_cast<size_t>(slot)] >= 0 && age >= 0 && age < kWindow;
        n_seen += seen;
        EXPECT_EQ(mask[static_cast<size_t>(i * n_slots + slot)], seen ? 0.0f : -std::numeric_limits<float>::infinity());
      }
      EXPECT_EQ(n_seen, std::min<int64_t>(first + i + 1, kWindow));
    }
    first += n;
  }
}

TEST(AttentionRing, RefusesMoreThanExactPositions) {
  const AttentionRing ring(250, 2);
  EXPECT_NO_THROW(ring.check_room(int64_t{1} << 24));
  EXPECT_THROW(ring.check_room((int64_t{1} << 24) + 1), Error);
}

// A convolution by hand: stride 2, kernel 5 over two channels.
TEST(SlidingWindows, OverlapInMemory) {
  constexpr int64_t kChannels = 2;
  constexpr int64_t kSteps = 11;
  constexpr int64_t kKernel = 5;
  constexpr int64_t kStride = 2;
  constexpr int64_t kWindows = 4;
  Graph graph(Device::open("cpu", 1), 16);
  ggml_tensor* x = graph.input(GGML_TYPE_F32, kChannels, kSteps);
  ggml_tensor* weight = graph.input(GGML_TYPE_F32, kChannels * kKernel, 3);
  ggml_tensor* windows = sliding_windows(graph.context(), x, kKernel, kStride, kWindows);
  ggml_tensor* in_place = ggml_mul_mat(graph.context(), weight, windows);
  ggml_tensor* copied = ggml_mul_mat(graph.context(), weight, ggml_cont(graph.context(), windows));
  graph.output(in_place);
  graph.output(copied);
  graph.allocate();
  std::vector<float> x_values(kChannels * kSteps);
  std::vector<float> weights(kChannels * kKernel * 3);
  std::iota(x_values.begin(), x_values.end(), 1.0f);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 7) - 2;
  graph.set(x, std::span<const float>(x_values));
  graph.set(weight, std::span<const float>(weights));
  graph.run();
  std::vector<float> expected;
  for (int64_t t = 0; t < kWindows; ++t) {
    for (int64_t o = 0; o < 3; ++o) {
      float sum = 0;
      for (int64_t i = 0; i < kChannels * kKernel; ++i) {
        sum += weights[static_cast<size_t>(o * kChannels * kKernel + i)] *
               x_values[static_cast<size_t>(t * kStride * kChannels + i)];
      }
      expected.push_back(sum);
    }
  }
  std::vector<float> result(expected.size());
  graph.get(in_place, std::span<float>(result));
  EXPECT_EQ(result, expected);
  graph.get(copied, std::span<float>(result));
  EXPECT_EQ(result, expected);
}

TEST(StreamState, KeepsTensorsByName) {
  StreamState state(Device::open("cpu", 1), 8);
  ggml_tensor* a = state.tensor("a", GGML_TYPE_F32, 3, 4);
  EXPECT_EQ(state.tensor("a", GGML_TYPE_F32, 3, 4), a);
  EXPECT_EQ(state.find("a"), a);
  EXPECT_THROW(state.tensor("a", GGML_TYPE_F32, 4, 3), Error);
  EXPECT_THROW(state.find("b"), Error);
  state.allocate();
  EXPECT_EQ(state.tensor("a", GGML_TYPE_F32, 3, 4), a);
  EXPECT_THROW(state.tensor("b", GGML_TYPE_F32, 1, 1), Error);
}

}  // namespace
}  // namespace csm::ggml
