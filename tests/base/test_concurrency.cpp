// BoundedChannel and CancelToken between threads.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/channel.h"

namespace csm {
namespace {

TEST(BoundedChannel, KeepsOrderAndNeverHoldsMoreThanItsCapacity) {
  constexpr int kValues = 20'000;
  constexpr int kCapacity = 3;
  BoundedChannel<int> channel(kCapacity);
  std::atomic<int> n_taken{0};
  int most_ahead = 0;
  std::thread producer([&] {
    for (int i = 0; i < kValues; ++i) {
      ASSERT_TRUE(channel.push(i));
      most_ahead = std::max(most_ahead, i + 1 - n_taken.load());
    }
    channel.close();
  });
  int expected = 0;
  while (const auto value = channel.pop()) {
    ASSERT_EQ(*value, expected++);
    n_taken.store(expected);
  }
  producer.join();
  EXPECT_EQ(expected, kValues);
  EXPECT_LE(most_ahead, kCapacity + 1) << "one more may be on its way out";
}

TEST(BoundedChannel, CloseKeepsWhatWasPushed) {
  BoundedChannel<int> channel(4);
  EXPECT_TRUE(channel.push(1));
  EXPECT_TRUE(channel.push(2));
  channel.close();
  channel.close();
  EXPECT_FALSE(channel.push(3));
  EXPECT_EQ(channel.pop(), 1);
  EXPECT_EQ(channel.pop(), 2);
  EXPECT_EQ(channel.pop(), std::nullopt);
  EXPECT_EQ(channel.pop(), std::nullopt);
}

TEST(BoundedChannel, CloseWakesAProducerThatWaitsForRoom) {
  BoundedChannel<int> channel(1);
  ASSERT_TRUE(channel.push(0));
  std::atomic<bool> refused{false};
  std::thread producer([&] { refused = !channel.push(1); });
  channel.close();
  producer.join();
  EXPECT_TRUE(refused);
}

TEST(BoundedChannel, CloseWakesAConsumerThatWaitsForAValue) {
  BoundedChannel<int> channel(1);
  std::atomic<bool> ended{false};
  std::thread consumer([&] { ended = !channel.pop().has_value(); });
  channel.close();
  consumer.join();
  EXPECT_TRUE(ended);
}

TEST(BoundedChannel, MovesWhatCannotBeCopied) {
  BoundedChannel<std::unique_ptr<int>> channel(0);  // at least one
  EXPECT_TRUE(channel.push(std::make_unique<int>(7)));
  EXPECT_EQ(**channel.pop(), 7);
}

TEST(CancelToken, CopiesShareOneFlag) {
  const CancelToken token;
  const CancelToken copy = token;
  const CancelToken other;
  EXPECT_FALSE(copy.cancelled());
  std::thread([copy] { copy.cancel(); }).join();
  EXPECT_TRUE(token.cancelled());
  EXPECT_TRUE(copy.cancelled());
  EXPECT_FALSE(other.cancelled());
}

}  // namespace
}  // namespace csm
