#include "hub/fetch_jobs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/fail.h"

namespace csm {
namespace {

constexpr auto kReportInterval = std::chrono::milliseconds(100);

// What the threads of one run share.
struct Crew {
  const std::vector<FetchJobs::Job>& jobs;
  const HubOptions& options;
  CancelToken stop;
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::condition_variable changed;
  size_t n_working = 0;      // under mutex
  std::exception_ptr error;  // under mutex: the first

  void work() {
    try {
      HttpClient client(options, stop);
      for (size_t i = next++; i < jobs.size() && !stop.cancelled(); i = next++) jobs[i](client);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      stop.cancel();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    --n_working;
    changed.notify_all();
  }
};

}  // namespace

void FetchJobs::run(const std::vector<Job>& jobs) {
  if (jobs.empty()) return;
  Crew crew{jobs, options_, {}, {}, {}, {}, 0, nullptr};
  crew.n_working = std::min(jobs.size(), static_cast<size_t>(options_.n_parallel));
  std::vector<std::thread> threads;
  const size_t n_threads = crew.n_working;
  for (size_t i = 0; i < n_threads; ++i) threads.emplace_back([&crew] { crew.work(); });
  bool refused = false;
  std::exception_ptr callback_error;
  {
    std::unique_lock<std::mutex> lock(crew.mutex);
    while (crew.n_working > 0) {
      crew.changed.wait_for(lock, kReportInterval);
      lock.unlock();
      try {
        if (!refused && !callback_error && !report(activity())) refused = true;
      } catch (...) {
        callback_error = std::current_exception();
      }
      if (refused || callback_error) crew.stop.cancel();
      lock.lock();
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (callback_error) std::rethrow_exception(callback_error);
  if (refused) fail(ErrorCode::kCancelled, "the download was interrupted; the next one goes on from here");
  if (crew.error) std::rethrow_exception(crew.error);
}

void FetchJobs::expect(const std::vector<RepoFile>& files) {
  for (const RepoFile& file : files) {
    ++n_files_;
    total_bytes_ += file.n_bytes.value_or(0);
  }
}

void FetchJobs::note(const std::string& text) {
  if (!report(text)) fail(ErrorCode::kCancelled, "the download was interrupted");
}

bool FetchJobs::report(const std::string& note) const {
  if (!on_progress_) return true;
  HubProgress progress;
  progress.repo = repo_;
  progress.n_files = n_files_;
  progress.n_files_done = counters_.n_done;
  progress.bytes = counters_.present_bytes;
  progress.total_bytes = std::max<uint64_t>(total_bytes_, progress.bytes);
  progress.note = note;
  return on_progress_(progress);
}

std::string FetchJobs::activity() const {
  if (n_files_ == 0) return "asking " + options_.endpoint;
  if (counters_.n_done < n_files_) {
    if (counters_.n_done + counters_.n_waiting >= n_files_) return "waiting for another process that fetches the same";
    if (counters_.n_done + counters_.n_verifying >= n_files_) return "verifying";
  }
  return "";
}

}  // namespace csm
