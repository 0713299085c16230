#include "engine/inference_thread.h"

#include <condition_variable>
#include <exception>
#include <mutex>

#include "base/fail.h"

namespace csm {

InferenceThread::InferenceThread() : jobs_(kMaxWaiting) {
  thread_ = std::thread([this] {
    while (std::optional<std::function<void()>> job = jobs_.pop()) (*job)();
  });
}

InferenceThread::~InferenceThread() {
  jobs_.close();
  thread_.join();
}

void InferenceThread::submit(std::function<void()> job) {
  if (std::this_thread::get_id() == thread_.get_id()) {
    fail(ErrorCode::kInvalidArgument,
         "the engine was called from a progress callback, which would wait for itself; make the call from another "
         "thread");
  }
  jobs_.push(std::move(job));
}

void InferenceThread::run_and_wait(const std::function<void()>& job) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr error;
  submit([&] {
    std::exception_ptr thrown;
    try {
      job();
    } catch (...) {
      thrown = std::current_exception();
    }
    // Under the lock to the end: what is used here belongs to the caller, who goes on as soon as it is free.
    const std::lock_guard lock(mutex);
    error = std::move(thrown);
    done = true;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done; });
  if (error) std::rethrow_exception(std::move(error));
}

}  // namespace csm
