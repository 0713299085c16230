#include "model/finite_check.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/fail.h"
#include "base/system.h"

namespace csm {
namespace {

constexpr size_t kBytesWorthThreads = size_t{64} << 20;
constexpr int kMaxThreads = 4;  // beyond, memory bandwidth is the limit

bool is_finite(const TensorInfo& tensor) {
  const TensorBytes bytes = tensor.fetch();
  if (bytes.data.size() != tensor.n_bytes()) {
    fail(ErrorCode::kInternal, "tensor '{}' ({}) came with {} bytes", tensor.name, tensor.describe(),
         bytes.data.size());
  }
  return all_finite(tensor.type, bytes.data.data(), static_cast<size_t>(tensor.n_elements()));
}

}  // namespace

std::vector<bool> find_non_finite(const std::vector<const TensorInfo*>& tensors) {
  // Largest first, so that no thread is left with the longest one at the end.
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return tensors[a]->n_bytes() > tensors[b]->n_bytes(); });
  size_t n_bytes = 0;
  for (const TensorInfo* tensor : tensors) n_bytes += tensor->n_bytes();

  std::vector<char> bad(tensors.size(), 0);  // not vector<bool>: threads write neighbours
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (size_t i = next++; i < order.size(); i = next++) bad[order[i]] = is_finite(*tensors[order[i]]) ? 0 : 1;
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  const int n_threads = n_bytes < kBytesWorthThreads ? 1 : std::min(n_physical_cores(), kMaxThreads);
  for (int i = 1; i < n_threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
  return {bad.begin(), bad.end()};
}

}  // namespace csm
