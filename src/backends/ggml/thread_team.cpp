#include "backends/ggml/thread_team.h"

#include <algorithm>

#include "base/fail.h"

namespace csm::ggml {
namespace {

constexpr double kWindow = 0.02;       // seconds of team work that are judged together
constexpr double kSlowGraph = 0.1;     // a single graph this long is judged at once
constexpr double kEnoughShare = 0.75;  // alone, waits are short spins and the share is above 0.9
constexpr double kFirstRest = 0.25;
constexpr double kLongestRest = 8.0;

template <typename Function>
Function module_function(ggml_backend_dev_t device, const char* name) {
  const auto function = reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
  if (function == nullptr) fail(ErrorCode::kUnsupported, "this ggml has no {}; expected version 0.15", name);
  return function;
}

}  // namespace

ThreadTeam::ThreadTeam(ggml_backend_dev_t cpu, int n_threads) : device_(cpu) {
  const auto new_pool = module_function<ggml_threadpool_t (*)(ggml_threadpool_params*)>(cpu, "ggml_threadpool_new");
  const auto set_pool = module_function<void (*)(ggml_backend_t, ggml_threadpool_t)>(cpu, "ggml_backend_cpu_set_threadpool");
  const auto set_n = module_function<ggml_backend_set_n_threads_t>(cpu, "ggml_backend_set_n_threads");
  (void)module_function<void (*)(ggml_threadpool_t)>(cpu, "ggml_threadpool_free");
  ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
  params.poll = 0;  // idle workers sleep
  pool_ = new_pool(&params);
  backend_ = ggml_backend_dev_init(cpu, nullptr);
  if (pool_ == nullptr || backend_ == nullptr) fail(ErrorCode::kResourceLimit, "cannot start {} threads", n_threads);
  set_n(backend_, n_threads);
  set_pool(backend_, pool_);
}

ThreadTeam::~ThreadTeam() {
  ggml_backend_free(backend_);
  module_function<void (*)(ggml_threadpool_t)>(device_, "ggml_threadpool_free")(pool_);
}

void CrowdWatch::observe(double now, double wall, double cpu) {
  wall_ += wall;
  cpu_ += cpu;
  if (wall_ < kWindow && wall < kSlowGraph) return;
  if (cpu_ < kEnoughShare * wall_) {
    rest_ = rest_ == 0 ? kFirstRest : std::min(2 * rest_, kLongestRest);
    rest_until_ = now + rest_;
  } else {
    rest_ = 0;
  }
  wall_ = cpu_ = 0;
}

}  // namespace csm::ggml
