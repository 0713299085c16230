// Measuring (csm/bench.h): each part of the model, one or two ways of running it in turns, between two bandwidth
// probes.
#include <csm/bench.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <optional>
#include <utility>

#include "backends/registry.h"
#include "base/bandwidth.h"
#include "base/fail.h"
#include "base/system.h"
#include "engine/bench_subject.h"
#include "engine/loader.h"
#include "engine/options.h"
#include "engine/stopwatch.h"
#include "engine/synthetic.h"

namespace csm {
namespace {

constexpr const char* kTextTable = "embed_text_tokens.weight";
constexpr int kMaxBatch = 64;
constexpr int kMaxRounds = 10'000;
constexpr int kProbePasses = 3;
// The probe reads as much as the part does, within these bounds: enough to leave the caches, and no more memory than
// needed.
constexpr uint64_t kLeastProbeBytes = uint64_t{64} << 20;
constexpr uint64_t kMostProbeBytes = uint64_t{1} << 30;
constexpr uint64_t kMostOwnProbeBytes = uint64_t{128} << 20;
// A part whose single run takes seconds gets fewer rounds than asked for, but no fewer than these.
constexpr double kSecondsPerPart = 30;
constexpr int kLeastRounds = 3;

ExecutionPath parse_path(const std::string& name) {
  if (name == "best") return ExecutionPath::kBest;
  if (name == "naive") return ExecutionPath::kNaive;
  fail(ErrorCode::kInvalidArgument, "path is '{}'; expected best or naive", name);
}

void require_range(const char* name, int value, int min, int max) {
  if (value < min || value > max)
    fail(ErrorCode::kInvalidArgument, "{} is {}; expected {} to {}", name, value, min, max);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

EngineOptions engine_options(const BenchOptions& options) {
  EngineOptions result;
  result.model = options.model.empty() ? options.shape : options.model;
  result.backend = options.backend;
  result.n_threads = options.n_threads;
  result.dtype = options.dtype;
  result.quantize = options.quantize;
  result.codec_dtype = options.codec_dtype;
  result.kv_type = options.kv_type;
  return result;
}

// Synthetic weights are stored as they are computed with; quantised ones are made from f16, as from a file.
DType stored_type(const BenchOptions& options) {
  const std::string dtype = lower(options.dtype);
  if (!options.quantize.empty()) return DType::kF16;
  return dtype == "f32" ? DType::kF32 : dtype == "bf16" ? DType::kBF16 : DType::kF16;
}

std::shared_ptr<const Checkpoint> open_checkpoint(const BenchOptions& options) {
  if (!options.model.empty()) return load_checkpoint(find_model_files(options.model));
  return make_synthetic_checkpoint(options.shape, stored_type(options));
}

// Positions p (0..1) of a sorted list, between neighbours in proportion.
double quantile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

template <typename Get>
std::vector<double> collect(const std::vector<BenchRun>& runs, Get get) {
  std::vector<double> values;
  std::transform(runs.begin(), runs.end(), std::back_inserter(values), get);
  return values;
}

std::string describe_machine(const Backend& backend) {
  std::string processor = "unknown processor";
  for (const DeviceInfo& device : backend.devices()) {
    if (device.name == "cpu") processor = device.description;
  }
  return fmt::format("{}, {} cores, {:.1f} GB, {}, {} {} ({})", processor, n_physical_cores(),
                     static_cast<double>(total_memory_bytes()) / 1e9, operating_system(), backend.name(),
                     backend.version(), fmt::join(backend.cpu_features(), " "));
}

// Bytes to read for the probe: the text table, which is in memory as it is, or memory of its own when that is small.
class ProbeBuffer {
 public:
  // table: held by a language model that is loaded; null when none is.
  explicit ProbeBuffer(const TensorInfo* table) {
    if (table != nullptr && table->n_bytes() >= kLeastProbeBytes) table_ = table->fetch();
  }

  std::span<const std::byte> take(uint64_t n_bytes) {
    n_bytes = std::clamp(n_bytes, kLeastProbeBytes, kMostProbeBytes);
    if (!table_.data.empty())
      return table_.data.first(static_cast<size_t>(std::min<uint64_t>(n_bytes, table_.data.size())));
    n_bytes = std::min(n_bytes, kMostOwnProbeBytes);
    if (own_.size() < n_bytes) own_.assign(static_cast<size_t>(n_bytes), std::byte{1});
    return std::span<const std::byte>(own_).first(static_cast<size_t>(n_bytes));
  }

 private:
  TensorBytes table_;
  std::vector<std::byte> own_;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& options);
  BenchReport run();

 private:
  void say(const std::string& line) const {
    if (options_.on_progress) options_.on_progress(line);
  }
  bool has_language_model() const { return std::any_of(parts_.begin(), parts_.end(), needs_language_model); }
  std::string type_of(BenchPart part) const;
  uint64_t held_weight_bytes() const;
  void measure(BenchPart part, BenchReport& report);
  std::vector<std::vector<BenchRun>> run_rounds(BenchPart part);
  BenchLine summarise(BenchPart part, size_t path, const std::vector<BenchRun>& runs, double before,
                      double after) const;

  BenchOptions options_;
  std::vector<BenchPart> parts_;
  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<std::unique_ptr<BenchSubject>> subjects_;  // by path
  std::optional<ProbeBuffer> probe_buffer_;
  std::optional<BandwidthProbe> probe_;
};

Bench::Bench(const BenchOptions& options) : options_(options) {
  for (const std::string& part : options.parts) parts_.push_back(parse_bench_part(part));
  backend_ = make_backend(options.backend);
  if (options_.n_threads == 0) options_.n_threads = backend_->default_threads();
  checkpoint_ = open_checkpoint(options);
  for (const std::string& path : options.paths) {
    say(fmt::format("loading {} for path {}",
                    options.model.empty() ? "synthetic weights of " + options.shape : options.model, path));
    BackendOptions backend_options = csm::backend_options(engine_options(options_), *checkpoint_);
    backend_options.path = parse_path(path);
    subjects_.push_back(std::make_unique<BenchSubject>(*backend_, checkpoint_, backend_options, options_, parts_));
  }
  probe_buffer_.emplace(has_language_model() ? &checkpoint_->tensor(kTextTable) : nullptr);
  probe_.emplace(options_.n_threads);
}

BenchReport Bench::run() {
  BenchReport report;
  report.machine = describe_machine(*backend_);
  for (const BenchPart part : parts_) measure(part, report);
  return report;
}

void Bench::measure(BenchPart part, BenchReport& report) {
  const std::span<const std::byte> bytes = probe_buffer_->take(subjects_.front()->working_set_bytes(part));
  for (const auto& subject : subjects_) subject->run(part);  // caches, pages and clocks settle
  const double before = probe_->measure(bytes, kProbePasses);
  const std::vector<std::vector<BenchRun>> runs = run_rounds(part);
  const double after = probe_->measure(bytes, kProbePasses);
  for (size_t path = 0; path < subjects_.size(); ++path) {
    report.lines.push_back(summarise(part, path, runs[path], before, after));
  }
  if (subjects_.size() < 2) return;
  std::vector<double> ratios;
  for (size_t round = 0; round < runs.front().size(); ++round) {
    ratios.push_back(runs.front()[round].ms / runs.back()[round].ms);
  }
  report.ratios.push_back({to_string(part), quantile(ratios, 0.5), quantile(ratios, 0), quantile(ratios, 1)});
}

// Runs by path and round. The paths take turns within each round, and in going first.
std::vector<std::vector<BenchRun>> Bench::run_rounds(BenchPart part) {
  std::vector<std::vector<BenchRun>> runs(subjects_.size());
  const Stopwatch watch;
  for (int round = 0; round < options_.rounds; ++round) {
    if (round >= kLeastRounds && watch.ms() > kSecondsPerPart * 1e3) {
      say(fmt::format("{}: {} rounds took {:.0f} s, and that is enough", to_string(part), round, watch.ms() / 1e3));
      break;
    }
    say(fmt::format("{}: round {} of {}", to_string(part), round + 1, options_.rounds));
    for (size_t i = 0; i < subjects_.size(); ++i) {
      const size_t path = round % 2 == 0 ? i : subjects_.size() - 1 - i;
      runs[path].push_back(subjects_[path]->run(part));
    }
  }
  return runs;
}

std::string Bench::type_of(BenchPart part) const {
  if (part == BenchPart::kMimi) return options_.codec_dtype;
  if (needs_watermark(part)) return "f32";
  return options_.quantize.empty() ? options_.dtype : options_.quantize;
}

// Everything in this process: the paths share what is stored as it is computed with.
uint64_t Bench::held_weight_bytes() const {
  uint64_t n_bytes = 0;
  for (const auto& subject : subjects_) n_bytes += subject->weight_bytes();
  if (!has_language_model()) return n_bytes;
  n_bytes += checkpoint_->tensor(kTextTable).n_bytes() + checkpoint_->tensor(kBackboneAudioTable).n_bytes();
  if (!checkpoint_->spec().tied_audio_embeddings) n_bytes += checkpoint_->tensor(kDepthAudioTable).n_bytes();
  return n_bytes;
}

BenchLine Bench::summarise(BenchPart part, size_t path, const std::vector<BenchRun>& runs, double before,
                           double after) const {
  const BenchSubject& subject = *subjects_[path];
  const std::vector<double> ms = collect(runs, [](const BenchRun& run) { return run.ms; });
  BenchLine line;
  line.part = to_string(part);
  line.path = options_.paths[path];
  line.type = type_of(part);
  line.n_threads = options_.n_threads;
  line.batch = subject.batch_of(part);
  line.context = subject.context_of(part);
  line.median_ms = quantile(ms, 0.5);
  line.best_ms = quantile(ms, 0);
  line.bytes_read = subject.bytes_read(part);
  line.probe_before_gbps = before;
  line.probe_after_gbps = after;
  const double probe = std::max(before, after);
  if (line.median_ms > 0 && probe > 0)
    line.efficiency = static_cast<double>(line.bytes_read) / (line.median_ms * 1e6) / probe;
  const double audio_ms = subject.audio_seconds(part) * 1e3;
  if (audio_ms > 0) line.real_time_factor = line.median_ms / audio_ms;
  if (part == BenchPart::kEndToEnd) {
    std::vector<double> frames;
    for (const BenchRun& run : runs) frames.insert(frames.end(), run.frame_ms.begin(), run.frame_ms.end());
    line.first_audio_ms = quantile(collect(runs, [](const BenchRun& run) { return run.first_audio_ms; }), 0.5);
    line.prefill_ms = quantile(collect(runs, [](const BenchRun& run) { return run.prefill_ms; }), 0.5);
    line.p95_frame_ms = quantile(frames, 0.95);
    line.max_frame_ms = quantile(frames, 1);
  }
  line.setups_per_run = runs.back().n_setups;
  line.weight_bytes = held_weight_bytes();
  line.peak_memory_bytes = peak_memory_bytes();
  return line;
}

}  // namespace

void BenchOptions::validate() const {
  if (parts.empty()) fail(ErrorCode::kInvalidArgument, "no part to measure was given");
  for (const std::string& part : parts) parse_bench_part(part);
  if (paths.empty()) fail(ErrorCode::kInvalidArgument, "no path was given; expected best or naive");
  for (size_t i = 0; i < paths.size(); ++i) {
    parse_path(paths[i]);
    if (std::count(paths.begin(), paths.end(), paths[i]) > 1)
      fail(ErrorCode::kInvalidArgument, "path {} was given twice", paths[i]);
  }
  const std::vector<std::string> shapes = synthetic_shapes();
  if (model.empty() && std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) {
    fail(ErrorCode::kInvalidArgument, "shape is '{}'; expected one of {}", shape, fmt::join(shapes, ", "));
  }
  engine_options(*this).validate();
  require_range("batch", batch, 1, kMaxBatch);
  require_range("context", context, 1, 1 << 24);
  require_range("frames", n_frames, 1, 1 << 24);
  require_range("rounds", rounds, 1, kMaxRounds);
}

BenchReport bench(const BenchOptions& options) {
  options.validate();
  return Bench(options).run();
}

}  // namespace csm
