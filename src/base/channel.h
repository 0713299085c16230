// A bounded queue between two threads that blocks instead of growing.
//
// Place in the flow: base; carries samples from the inference thread to the consumer of a stream. The channel owns what
// is in it; both threads must have let go of it before it is destroyed. push, pop and close may be called from any
// thread.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace csm {

template <typename T>
class BoundedChannel {
 public:
  explicit BoundedChannel(size_t capacity) : capacity_(std::max<size_t>(capacity, 1)) {}
  BoundedChannel(const BoundedChannel&) = delete;
  BoundedChannel& operator=(const BoundedChannel&) = delete;

  // Waits for room. False when the channel is closed: the value is dropped and the producer should stop.
  bool push(T value) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || queue_.size() < capacity_; });
    if (closed_) return false;
    queue_.push_back(std::move(value));
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  // Waits for a value. Empty once the channel is closed and all that was pushed before has been taken.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return std::nullopt;
    std::optional<T> value(std::move(queue_.front()));
    queue_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return value;
  }

  // Wakes everyone who waits. Safe to call more than once.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;  // one for both directions: with one producer and one consumer only one ever waits
  std::deque<T> queue_;
  bool closed_ = false;
};

}  // namespace csm
