// csm batch: many lines in, a file of speech for each, and on again where it stopped.
#include <csm/engine.h>
#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "batch/lines.h"
#include "batch/manifest.h"
#include "commands.h"
#include "conversation.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "request.h"
#include "sound_output.h"
#include "silentcipher.h"
#include "watermark_key.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm batch lines.txt -o speech/                     one file for each line: speech/00001.wav ...
  csm batch lines.jsonl -o speech/ --batch 4 --format flac --loudness -16
  csm batch lines.jsonl -o speech/                   once more: goes on with what is missing, failed or changed

A line of JSON is an object; all but "text" is optional, and any setting of speech, sampling and output may stand in it:
  {"text": "Good morning.", "file": "greetings/morning.flac", "speaker": 1, "seed": 7, "temperature": 0.6}
  {"text": "And you?", "context": "conversation.json"}

speech/manifest.jsonl says what became of each line. A line that fails does not stop the others; then the exit code is 1.)";

struct BatchOptions {
  std::string input;
  std::string folder;
  int n_together = 1;
  bool anew = false;
  bool json = false;
  ContextFlags context;
  SoundFlags sound;
};

// A line that is still to be spoken. Its context is read again when its turn comes: many lines may have long ones.
struct Job {
  const BatchLine* line = nullptr;
  std::string fingerprint;
  SpeechRequest request;
};

class Batch {
 public:
  Batch(const BatchOptions& options, const Settings& settings, const std::vector<BatchLine>& lines)
      : options_(options),
        settings_(settings),
        lines_(lines),
        manifest_(options.folder),
        progress_(settings.output.quiet) {}

  int run();

 private:
  std::vector<Job> jobs();
  const std::vector<Turn>& context_of(const BatchLine& line);
  void speak(Engine& engine, std::vector<Job> jobs);
  std::vector<Job> prepared(Engine& engine, std::vector<Job> jobs);
  std::vector<SpeechResult> spoken_together(Engine& engine, const std::vector<Job>& jobs);
  void write(const Job& job, const SpeechResult& result);
  void fail(const BatchLine& line, const std::string& request, const std::string& message);
  void show_progress();
  void report() const;

  const BatchOptions& options_;
  const Settings& settings_;
  const std::vector<BatchLine>& lines_;
  Manifest manifest_;
  Progress progress_;
  std::vector<Turn> own_context_;  // of all lines that name none
  std::string last_context_path_;
  std::vector<Turn> last_context_;  // neighbours often share one
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t n_done_ = 0;
  size_t n_skipped_ = 0;
  double seconds_ = 0;
  std::vector<std::pair<const BatchLine*, std::string>> failures_;
};

const std::vector<Turn>& Batch::context_of(const BatchLine& line) {
  if (line.context.empty()) return own_context_;
  if (line.context != last_context_path_) {
    last_context_ = read_conversation(line.context);
    last_context_path_ = line.context;
  }
  return last_context_;
}

void Batch::fail(const BatchLine& line, const std::string& request, const std::string& message) {
  failures_.emplace_back(&line, message);
  if (line.file.empty()) return;
  manifest_.add(
      {{"line", line.number}, {"file", line.file}, {"request", request}, {"status", "failed"}, {"error", message}});
}

std::vector<Job> Batch::jobs() {
  std::vector<Job> jobs;
  for (const BatchLine& line : lines_) {
    if (!line.error.empty()) {
      failures_.emplace_back(&line, line.error);
      continue;
    }
    try {
      const std::string request = fingerprint(line, context_of(line));
      if (!options_.anew && manifest_.is_done(line.file, request)) {
        ++n_skipped_;
      } else {
        jobs.push_back({&line, request, {}});
      }
    } catch (const Error& error) {
      fail(line, "", error.what());
    }
  }
  return jobs;
}

void Batch::write(const Job& job, const SpeechResult& result) {
  const BatchLine& line = *job.line;
  if (result.audio.samples.empty()) {
    fail(line, job.fingerprint, "the model ended before its first frame; try another seed or min-frames 1");
    return;
  }
  const std::filesystem::path path = std::filesystem::path(options_.folder) / line.file;
  const HoldSignals held;
  try {
    std::filesystem::create_directories(path.parent_path());
    (void)write_audio(path.string(), result.audio, line.settings.output.audio(options_.sound.tags));
  } catch (const std::filesystem::filesystem_error& error) {
    fail(line, job.fingerprint,
         fmt::format("cannot create the folder of '{}': {}", path.string(), error.code().message()));
    return;
  }
  ++n_done_;
  seconds_ += result.audio.seconds();
  manifest_.add({{"line", line.number},
                 {"file", line.file},
                 {"request", job.fingerprint},
                 {"status", "done"},
                 {"seconds", result.audio.seconds()},
                 {"seed", job.request.seed},
                 {"finish_reason", to_string(result.stats.finish_reason)}});
}

std::vector<Job> Batch::prepared(Engine& engine, std::vector<Job> jobs) {
  std::vector<Job> ready;
  for (Job& job : jobs) {
    try {
      if (wants_silentcipher(job.line->settings.watermark)) {
        throw UsageError("batch marks as it speaks, which SilentCipher cannot; use --watermark csm, then csm watermark add");
      }
      job.request.text = job.line->text;
      job.request.context = context_of(*job.line);
      apply_settings(job.line->settings, engine, job.request);
      apply_voice(job.line->settings, engine, job.request);
      job.request.watermark.key = watermark_key(job.line->settings.watermark);
      ready.push_back(std::move(job));
    } catch (const std::runtime_error& error) {
      fail(*job.line, job.fingerprint, error.what());
    }
  }
  return ready;
}

// One that cannot be spoken spoils the lock step for all; then each is tried alone, and it fails by itself.
std::vector<SpeechResult> Batch::spoken_together(Engine& engine, const std::vector<Job>& jobs) {
  if (jobs.size() < 2) return {};
  std::vector<SpeechRequest> requests;
  for (const Job& job : jobs) requests.push_back(job.request);
  try {
    return engine.synthesize_batch(requests);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    return {};
  }
}

void Batch::speak(Engine& engine, std::vector<Job> jobs) {
  jobs = prepared(engine, std::move(jobs));
  const std::vector<SpeechResult> results = spoken_together(engine, jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    try {
      write(jobs[i], results.empty() ? engine.synthesize(jobs[i].request, {}) : results[i]);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      fail(*jobs[i].line, jobs[i].fingerprint, error.what());
    }
    check_interrupt();
    show_progress();
  }
}

void Batch::show_progress() {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  progress_.show(fmt::format("{} of {} lines, {} failed, {:.1f} s of speech, real-time factor {:.2f}",
                             n_done_ + n_skipped_ + failures_.size(), lines_.size(), failures_.size(), seconds_,
                             seconds_ > 0 ? elapsed.count() / seconds_ : 0.0));
}

void Batch::report() const {
  if (!settings_.output.quiet) {
    print_text(fmt::format("csm: {}: {} spoken ({:.1f} s), {} there already, {} failed", printable(options_.folder),
                           n_done_, seconds_, n_skipped_, failures_.size()));
  }
  for (const auto& [line, message] : failures_) print_error(fmt::format("line {}: {}", line->number, message));
  if (!options_.json) return;
  Json errors = Json::array();
  for (const auto& [line, message] : failures_) errors.push_back({{"line", line->number}, {"error", message}});
  print_json({{"folder", options_.folder},
              {"lines", lines_.size()},
              {"spoken", n_done_},
              {"there_already", n_skipped_},
              {"failed", failures_.size()},
              {"seconds", seconds_},
              {"errors", errors}});
}

int Batch::run() {
  own_context_ = read_context(options_.context);
  std::vector<Job> waiting = jobs();
  if (!waiting.empty()) {
    const std::shared_ptr<Engine> engine = open_engine(engine_options(settings_));
    const auto n_together = static_cast<size_t>(options_.n_together);
    for (size_t begin = 0; begin < waiting.size(); begin += n_together) {
      const size_t end = std::min(begin + n_together, waiting.size());
      speak(*engine, {std::make_move_iterator(waiting.begin() + static_cast<std::ptrdiff_t>(begin)),
                      std::make_move_iterator(waiting.begin() + static_cast<std::ptrdiff_t>(end))});
    }
  }
  progress_.clear();
  manifest_.write_in_order();
  std::stable_sort(failures_.begin(), failures_.end(),
                   [](const auto& a, const auto& b) { return a.first->number < b.first->number; });
  report();
  return failures_.empty() ? kDone : kFailed;
}

int run_batch(const BatchOptions& options, const Settings& settings) {
  (void)settings.output.audio(options.sound.tags);
  EngineOptions engine = settings.engine;
  if (engine.model.empty()) engine.model = "bundled";  // found later; the other fields are what is checked
  check_usage([&] { engine.validate(); });
  const std::string text = read_text(options.input);
  const std::string folder = std::filesystem::path(options.input).parent_path().string();
  const std::vector<BatchLine> lines = read_batch(text, batch_format(options.input, text), settings, folder);
  if (lines.empty()) {
    throw Error(ErrorCode::kInvalidData, fmt::format("'{}' has no lines; expected something to speak", options.input));
  }
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error)
    throw Error(ErrorCode::kIo, fmt::format("cannot create the folder '{}': {}", options.folder, error.message()));
  return Batch(options, settings, lines).run();
}

}  // namespace

void add_batch(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("batch", "Speak many lines, each into a file of its own");
  const auto options = std::make_shared<BatchOptions>();
  app->footer(kFooter);
  app->add_option("lines", options->input,
                  "Lines of text, or .jsonl with an object in each line; - reads standard input")
      ->type_name("FILE")
      ->required();
  app->add_option("-o,--output", options->folder, "Folder of the files; it is created")
      ->type_name("FOLDER")
      ->group("Output")
      ->required();
  app->add_option("--batch", options->n_together, "Speak N lines in lock step")
      ->type_name("N")
      ->group("Output")
      ->capture_default_str()
      ->check(whole_number(1));
  app->add_flag("--anew", options->anew, "Also speak again what is there already")->group("Output");
  add_tag_flag(*app, options->sound);
  add_context_flags(*app, options->context);
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_batch(*options, from.settings); }});
}

}  // namespace csm::app
