// A request to stop that many places may see, and a time after which to stop anyway.
//
// Place in the flow: base; made by the public API, looked at by the inference thread once per frame. Copies share one
// flag (each copy owns a part of it). Thread-safe; cancel() only stores an atomic, so it may be called from a signal
// handler.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

namespace csm {

class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}

  void cancel() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  // By someone, or by the clock.
  bool cancelled() const noexcept { return flag_->load(std::memory_order_relaxed) || expired(); }
  bool expired() const noexcept { return deadline_ && std::chrono::steady_clock::now() >= *deadline_; }

  // The same flag with a time limit.
  CancelToken until(std::chrono::steady_clock::time_point deadline) const {
    CancelToken limited(*this);
    limited.deadline_ = deadline;
    return limited;
  }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free);
  std::shared_ptr<std::atomic<bool>> flag_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

}  // namespace csm
