// Threads for CPU graphs, and the judgement whether they are worth using right now.
//
// ggml's threads meet after every operation. That pays for large graphs on free cores. When a neighbour takes one of the cores,
// every meeting waits for the scheduler, and two threads become many times slower than one; so a crowded team rests and the graphs
// run on the calling thread alone, which gives the same bits. Used on the inference thread only.
#pragma once

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include <memory>

namespace csm::ggml {

// A CPU backend of ggml with a persistent pool of n threads (the caller's included). Idle workers sleep.
class ThreadTeam {
 public:
  // Errors: kUnsupported (a ggml without thread pools), kResourceLimit.
  ThreadTeam(ggml_backend_dev_t cpu, int n_threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  ggml_backend_t backend() const { return backend_; }

 private:
  ggml_backend_dev_t device_;
  ggml_backend_t backend_ = nullptr;
  ggml_threadpool_t pool_ = nullptr;
};

// Watches how much of the time that graphs take the calling thread really runs. Times in seconds, from any fixed start.
class CrowdWatch {
 public:
  // Whether the team should rest at this time.
  bool crowded(double now) const { return now < rest_until_; }
  // A graph that ran on the team from now - wall to now, of which the calling thread was running for cpu.
  void observe(double now, double wall, double cpu);

 private:
  double wall_ = 0;  // of the window so far
  double cpu_ = 0;
  double rest_ = 0;  // length of the last rest; 0 when all is well
  double rest_until_ = -1;
};

}  // namespace csm::ggml
