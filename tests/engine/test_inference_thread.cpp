// Jobs run one after another on one thread, and give back what they return or throw.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "engine/inference_thread.h"
#include "engine_test.h"

namespace csm::test {
namespace {

TEST(InferenceThread, RunsJobsInOrderOnItsOwnThread) {
  InferenceThread thread;
  std::vector<int> order;
  for (int i = 0; i < 200; ++i) thread.submit([&order, i] { order.push_back(i); });  // more than the queue holds
  const auto where = thread.run([] { return std::this_thread::get_id(); });
  EXPECT_NE(where, std::this_thread::get_id());
  ASSERT_EQ(order.size(), 200u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(InferenceThread, PassesOnWhatAJobThrows) {
  InferenceThread thread;
  EXPECT_THROW(thread.run([]() -> int { throw std::out_of_range("x"); }), std::out_of_range);
  EXPECT_EQ(thread.run([] { return 7; }), 7) << "and goes on";
}

TEST(InferenceThread, FinishesWhatWaitsBeforeItGoes) {
  std::atomic<int> done{0};
  {
    InferenceThread thread;
    for (int i = 0; i < 20; ++i) thread.submit([&done] { ++done; });
  }
  EXPECT_EQ(done, 20);
}

TEST(InferenceThread, RefusesCallsFromItself) {
  InferenceThread thread;
  const std::string message =
      thread.run([&] { return error_of(ErrorCode::kInvalidArgument, [&] { thread.run([] { return 0; }); }); });
  EXPECT_TRUE(contains(message, "progress callback"));
}

TEST(InferenceThread, TakesJobsFromManyThreads) {
  InferenceThread thread;
  int sum = 0;  // touched on the inference thread only
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 50; ++j) thread.run([&] { return ++sum; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(thread.run([&] { return sum; }), 400);
}

}  // namespace
}  // namespace csm::test
