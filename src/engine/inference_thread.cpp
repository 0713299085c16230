#include "engine/inference_thread.h"

#include <optional>

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

}  // namespace csm
