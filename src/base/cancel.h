// A request to stop that many places may see.
//
// Place in the flow: base; made by the public API, looked at by the inference thread once per frame. Copies share one
// flag (each copy owns a part of it). Thread-safe; cancel() only stores an atomic, so it may be called from a signal
// handler.
#pragma once

#include <atomic>
#include <memory>

namespace csm {

class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}

  void cancel() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return flag_->load(std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free);
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace csm
