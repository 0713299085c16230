// The one thread that does the arithmetic of an engine: jobs run there one after another, in the order they came.
//
// Place in the flow: public calls -> jobs -> backends. Owned by the engine, which it must not outlive: the destructor
// finishes the jobs that were submitted and joins. submit() and run() may be called from any thread but its own.
#pragma once

#include <functional>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/channel.h"

namespace csm {

class InferenceThread {
 public:
  InferenceThread();
  ~InferenceThread();
  InferenceThread(const InferenceThread&) = delete;
  InferenceThread& operator=(const InferenceThread&) = delete;

  // Puts a job into the queue, waiting while it is full. The job must not throw.
  // Errors: kInvalidArgument when called on this very thread (from a progress callback): it would wait for itself.
  void submit(std::function<void()> job);

  // Runs a job there and returns what it returns or throws what it throws. Errors: also those of submit().
  template <typename Job>
  auto run(Job job) -> decltype(job()) {
    if constexpr (std::is_void_v<decltype(job())>) {
      run_and_wait(job);
    } else {
      std::optional<decltype(job())> result;
      run_and_wait([&] { result.emplace(job()); });
      return std::move(*result);
    }
  }

 private:
  void run_and_wait(const std::function<void()>& job);

  static constexpr size_t kMaxWaiting = 64;
  BoundedChannel<std::function<void()>> jobs_;
  std::thread thread_;
};

}  // namespace csm
