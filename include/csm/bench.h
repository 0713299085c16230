// Measuring with synthetic weights of the true CSM-1B + Mimi shapes (made in memory) or with a real checkpoint.
//
// Times are reported beside a bandwidth probe of the same size of buffer and thread count, taken before and after, so that
// what is compared between machines is a ratio: efficiency = (bytes read / time) / probe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace csm {

struct BenchOptions {
  std::vector<std::string> parts = {"backbone", "depth", "mimi", "prefill", "frame", "e2e", "mark", "find-mark"};
  std::vector<std::string> paths = {"best"};  // "best", "naive": measured interleaved
  std::string model;                          // empty: synthetic CSM-1B shapes
  std::string shape = "csm-1b";               // synthetic: "csm-1b" or "tiny"
  std::string backend = "auto";
  std::string quantize = "q8_0";              // as in EngineOptions; "" = dtype
  std::string dtype = "f16";
  std::string codec_dtype = "f32";
  std::string kv_type = "f32";
  int n_threads = 0;
  int batch = 1;
  int context = 512;    // backbone positions already filled
  int n_frames = 25;    // of e2e
  int rounds = 7;
  std::function<void(const std::string&)> on_progress;  // one line of what is being done

  void validate() const;
};

struct BenchLine {
  std::string part;
  std::string path;
  std::string type;
  int n_threads = 0;
  int batch = 1;
  int context = 0;
  double median_ms = 0;
  double best_ms = 0;
  uint64_t bytes_read = 0;       // weights that one run must read
  double probe_before_gbps = 0;
  double probe_after_gbps = 0;
  double efficiency = 0;         // (bytes_read / median) / better probe
  double real_time_factor = 0;   // 0 where it has no meaning
  double first_audio_ms = 0;     // e2e
  double prefill_ms = 0;         // e2e
  double p95_frame_ms = 0;       // e2e
  double max_frame_ms = 0;       // e2e
  uint64_t setups_per_run = 0;   // graph builds, allocations and thread starts in one steady run
  uint64_t weight_bytes = 0;
  uint64_t peak_memory_bytes = 0;
};

struct BenchRatio {
  std::string part;
  double median = 0;  // how many times faster the last path is than the first
  double low = 0;
  double high = 0;
};

struct BenchReport {
  std::string machine;
  std::vector<BenchLine> lines;
  std::vector<BenchRatio> ratios;
};

BenchReport bench(const BenchOptions& options);

}  // namespace csm
