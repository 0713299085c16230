// Finds and reads a model, then lets src/convert write it as one GGUF file with all that belongs to it.
#include <csm/convert.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "backends/registry.h"
#include "base/fail.h"
#include "base/system.h"
#include "convert/gguf_convert.h"
#include "engine/loader.h"
#include "engine/model_texts.h"
#include "hub/digest.h"
#include "io/file.h"
#include "model/gguf_keys.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxThreads = 1024;

// All that is known before anything is written.
struct Job {
  ModelFiles files;
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<GgufPlanEntry> plan;
  ModelTexts texts;
};

Job prepare(const std::string& model, const GgufConvertOptions& options) {
  options.validate();
  Job job;
  job.files = find_model_files(model);
  // Values are checked while they are converted, so that they are read once.
  job.checkpoint = load_checkpoint(job.files, WeightCheck::kShapesOnly);
  if (!job.files.tokenizer.empty()) (void)load_tokenizer(job.files);
  job.texts = read_model_texts(job.files);
  job.plan = plan_gguf(*job.checkpoint, parse_gguf_types(options.type));
  return job;
}

// UTC, as 2026-01-31T12:00:00Z; SOURCE_DATE_EPOCH makes files reproducible.
std::string date_text() {
  std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH")) now = static_cast<std::time_t>(std::strtoll(epoch, nullptr, 10));
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string name_of(const Job& job, const GgufConvertOptions& options) {
  if (!options.name.empty()) return options.name;
  const fs::path file = job.files.gguf.size() == 1 ? fs::path(job.files.gguf.front()).stem() : fs::path();
  if (!file.empty()) return file.string();
  const fs::path directory = fs::absolute(job.files.directory).lexically_normal();
  return directory.has_filename() ? directory.filename().string() : directory.parent_path().filename().string();
}

void set_unless_empty(GgufWriter& writer, const char* key, const std::string& value) {
  if (!value.empty()) writer.set_text(key, value);
}

// The file's metadata and the places of its tensors. hashes: of the weight files, one for each.
GgufWriter make_writer(const Job& job, const GgufConvertOptions& options, const std::vector<std::string>& hashes) {
  GgufWriter writer;
  writer.set_text(gguf::kArchitecture, gguf::kOurArchitecture);
  writer.set_text("general.type", "model");
  writer.set_text("general.name", name_of(job, options));
  set_unless_empty(writer, "general.license", job.texts.license);
  writer.set_u32(gguf::kFormat, gguf::kOurFormat);
  writer.set_text(gguf::kConfig, job.texts.config);
  set_unless_empty(writer, gguf::kGenerationConfig, job.texts.generation_config);
  set_unless_empty(writer, gguf::kTokenizer, job.texts.tokenizer);
  if (!job.texts.tokenizer_model.empty()) writer.set_bytes(gguf::kTokenizerModel, job.texts.tokenizer_model);
  set_unless_empty(writer, gguf::kModelCard, job.texts.model_card);
  writer.set_text(gguf::kVersion, CSM_VERSION);
  writer.set_text(gguf::kDate, date_text());
  writer.set_text(gguf::kTypes, options.type);
  writer.set_text(gguf::kSourceName, name_of(job, options));
  std::vector<std::string> names;
  for (const std::string& file : job.files.weights) names.push_back(fs::path(file).filename().string());
  writer.set_strings(gguf::kSourceFiles, names);
  writer.set_strings(gguf::kSourceHashes, hashes);
  if (std::any_of(job.plan.begin(), job.plan.end(), [](const GgufPlanEntry& entry) { return is_quantised(entry.to); })) {
    writer.set_u32("general.quantization_version", 2);  // of ggml's block formats
  }
  for (const GgufPlanEntry& entry : job.plan) writer.add_tensor(entry.name, entry.to, entry.shape);
  return writer;
}

// Of the same length as a real one, so that sizes are known before the sources are read.
std::vector<std::string> unknown_hashes(const Job& job) { return std::vector<std::string>(job.files.weights.size(), std::string(64, '0')); }

std::vector<std::string> hash_sources(const Job& job, const GgufConvertOptions& options, uint64_t n_bytes_total) {
  std::vector<std::string> hashes;
  for (const std::string& file : job.files.weights) {
    const auto on_bytes = [&](uint64_t) {
      const bool goes_on = !options.on_progress || options.on_progress({"sha256 of " + fs::path(file).filename().string(), 0, n_bytes_total});
      if (!goes_on) fail(ErrorCode::kCancelled, "the conversion was cancelled");
    };
    hashes.push_back(digest_file(file, DigestKind::kSha256, on_bytes).sha256);
  }
  return hashes;
}

uint64_t bytes_of(const GgufPlanEntry& entry) {
  TensorInfo info;
  info.type = entry.to;
  info.shape = entry.shape;
  return info.n_bytes();
}

ConvertReport write_all(const Job& job, const GgufConvertOptions& options, const ByteSink& sink) {
  const uint64_t n_bytes = make_writer(job, options, unknown_hashes(job)).n_bytes();
  GgufWriter writer = make_writer(job, options, hash_sources(job, options, n_bytes));
  writer.begin(sink);
  const GgufProgress progress = [&](const std::string& tensor, uint64_t done) {
    return !options.on_progress || options.on_progress({tensor, done, n_bytes});
  };
  const int n_threads = options.n_threads > 0 ? options.n_threads : n_physical_cores();
  write_gguf_tensors(*job.checkpoint, job.plan, writer, convert_rows, n_threads, progress);
  writer.finish();
  ConvertReport report;
  report.n_tensors = static_cast<int>(job.plan.size());
  report.n_quantised = static_cast<int>(
      std::count_if(job.plan.begin(), job.plan.end(), [](const GgufPlanEntry& entry) { return is_quantised(entry.to); }));
  report.n_bytes = n_bytes;
  return report;
}

// A disk that cannot hold the file is known before the work, where the system says how much is free.
void check_space(const std::string& path, uint64_t n_bytes) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) return;
  const fs::path directory = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  const fs::space_info space = fs::space(directory, error);
  if (error || space.available >= n_bytes) return;
  fail(ErrorCode::kIo, "cannot write '{}': it takes {} bytes and the disk has {} left; free some, or write elsewhere", path, n_bytes,
       space.available);
}

}  // namespace

void GgufConvertOptions::validate() const {
  if (n_threads < 0 || n_threads > kMaxThreads) {
    fail(ErrorCode::kInvalidArgument, "threads is {}; expected 0 (physical cores) to {}", n_threads, kMaxThreads);
  }
  (void)parse_gguf_types(type);
}

GgufPlan plan_gguf_conversion(const std::string& model, const GgufConvertOptions& options) {
  const Job job = prepare(model, options);
  GgufPlan plan;
  for (const GgufPlanEntry& entry : job.plan) {
    const uint64_t n_bytes = bytes_of(entry);
    const std::string part = to_string(entry.part);
    plan.tensors.push_back({entry.name, part, to_string(entry.from), to_string(entry.to), entry.shape, n_bytes});
    const auto known = std::find_if(plan.part_bytes.begin(), plan.part_bytes.end(), [&](const auto& one) { return one.first == part; });
    if (known == plan.part_bytes.end()) {
      plan.part_bytes.emplace_back(part, n_bytes);
    } else {
      known->second += n_bytes;
    }
  }
  plan.n_bytes = make_writer(job, options, unknown_hashes(job)).n_bytes();
  return plan;
}

ConvertReport convert_to_gguf(const std::string& model, const std::string& path, const GgufConvertOptions& options) {
  const Job job = prepare(model, options);
  remove_stale_temporaries(path);
  AtomicFile file(path);  // before the work, so that a bad path is known at once
  check_space(path, make_writer(job, options, unknown_hashes(job)).n_bytes());
  const ConvertReport report =
      write_all(job, options, [&](std::span<const std::byte> bytes) { file.write(bytes.data(), bytes.size()); });
  file.commit();
  return report;
}

std::vector<std::byte> convert_to_gguf_in_memory(const std::string& model, const GgufConvertOptions& options) {
  const Job job = prepare(model, options);
  std::vector<std::byte> bytes;
  bytes.reserve(static_cast<size_t>(make_writer(job, options, unknown_hashes(job)).n_bytes()));
  write_all(job, options, [&](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); });
  return bytes;
}

}  // namespace csm
