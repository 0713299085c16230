// csm bench: how fast, beside how fast the memory is.
#include <csm/bench.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "model_name.h"
#include "output.h"
#include "progress.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm bench --part frame --quantize q8_0
  csm bench --compare naive,best --quantize q4_0 --part frame,mimi
  csm bench --shape tiny --rounds 3 --json
  csm bench --model path/to/model --part e2e

Parts: backbone, depth, mimi, prefill, frame, e2e; mark and find-mark: the watermark, one frame of it and the search of 10 s
for one key. Without --model the weights are made in memory, of CSM-1B's true shapes.
efficiency = (bytes read / median time) / bandwidth of the same amount of memory, probed before and after.
naive is the usual way: a graph built for each depth step, sampling on the host, a projection for each step, plain transposed
convolutions. Compare ratios between machines, never milliseconds.)";

struct BenchFlags {
  BenchOptions options;
  std::string path;
  std::vector<std::string> compare;
  bool json = false;
  bool quiet = false;
};

Json to_json(const BenchLine& line) {
  return {{"part", line.part},
          {"path", line.path},
          {"type", line.type},
          {"threads", line.n_threads},
          {"batch", line.batch},
          {"context", line.context},
          {"median_ms", line.median_ms},
          {"best_ms", line.best_ms},
          {"bytes_read", line.bytes_read},
          {"probe_before_gbps", line.probe_before_gbps},
          {"probe_after_gbps", line.probe_after_gbps},
          {"efficiency", line.efficiency},
          {"rtf", line.real_time_factor},
          {"first_audio_ms", line.first_audio_ms},
          {"prefill_ms", line.prefill_ms},
          {"p95_frame_ms", line.p95_frame_ms},
          {"max_frame_ms", line.max_frame_ms},
          {"setups_per_run", line.setups_per_run},
          {"weight_bytes", line.weight_bytes},
          {"peak_memory_bytes", line.peak_memory_bytes}};
}

Json to_json(const BenchReport& report) {
  Json lines = Json::array();
  for (const BenchLine& line : report.lines) lines.push_back(to_json(line));
  Json ratios = Json::array();
  for (const BenchRatio& ratio : report.ratios) {
    ratios.push_back({{"part", ratio.part}, {"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}});
  }
  return {{"machine", report.machine}, {"lines", lines}, {"ratios", ratios}};
}

std::string to_text(const BenchReport& report, const std::vector<std::string>& paths) {
  std::string text = report.machine + "\n" +
                     fmt::format(
                         "{:<10}{:<7}{:<7}{:>4}{:>6}{:>8}{:>11}{:>11}{:>"
                         "11}{:>8}{:>8}{:>7}{:>7}{:>11}\n",
                         "part", "path", "type", "thr", "batch", "context", "median ms", "best ms", "read", "probe",
                         "GB/s", "eff", "RTF", "peak");
  for (const BenchLine& line : report.lines) {
    text += fmt::format(
        "{:<10}{:<7}{:<7}{:>4}{:>6}{:>8}{:>11.3f}{:>11.3f}{:>11}{:>"
        "8.2f}{:>8.2f}{:>7.2f}{:>7.2f}{:>11}\n",
        line.part, line.path, line.type, line.n_threads, line.batch, line.context, line.median_ms, line.best_ms,
        human_bytes(line.bytes_read), line.probe_before_gbps, line.probe_after_gbps, line.efficiency,
        line.real_time_factor, human_bytes(line.peak_memory_bytes));
    if (line.prefill_ms > 0 || line.first_audio_ms > 0) {
      text += fmt::format(
          "  prefill {:.1f} ms, first audio after {:.1f} ms; "
          "frames: 95 % within {:.1f} ms, slowest {:.1f} ms\n",
          line.prefill_ms, line.first_audio_ms, line.p95_frame_ms, line.max_frame_ms);
    }
  }
  for (const BenchRatio& ratio : report.ratios) {
    text += fmt::format("{}: {} is {:.2f} times as fast as {} ({:.2f} to {:.2f})\n", ratio.part, paths.back(),
                        ratio.median, paths.front(), ratio.low, ratio.high);
  }
  return text;
}

int run_bench(BenchFlags flags) {
  if (!flags.path.empty() && !flags.compare.empty()) throw UsageError("give either --path or --compare");
  if (!flags.path.empty()) flags.options.paths = {flags.path};
  if (!flags.compare.empty()) flags.options.paths = flags.compare;
  check_usage([&] { flags.options.validate(); });
  if (!flags.options.model.empty()) flags.options.model = locate_model(flags.options.model);
  BenchReport report;
  {
    Progress progress(flags.quiet);
    flags.options.on_progress = [&](const std::string& line) { progress.show(line); };
    report = bench(flags.options);
  }
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_text(to_text(report, flags.options.paths));
  }
  return kDone;
}

void add_what_flags(CLI::App& app, BenchFlags& flags) {
  const char* group = "What to measure";
  app.add_option("--part", flags.options.parts,
                 "backbone, depth, mimi, prefill, frame, e2e, mark, find-mark; repeatable "
                 "(default: all)")
      ->type_name("PARTS")
      ->group(group)
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--path", flags.path, "best or naive (default: best)")->type_name("PATH")->group(group);
  app.add_option("--compare", flags.compare, "Measure paths in turn and print their ratio, as naive,best")
      ->type_name("A,B")
      ->group(group)
      ->allow_extra_args(false)
      ->delimiter(',');
  const auto count = [&](const char* name, int& value, const char* text) {
    app.add_option(name, value, text)->type_name("N")->group(group)->capture_default_str();
  };
  count("--batch", flags.options.batch, "Sequences in lock step");
  count("--ctx", flags.options.context, "Backbone positions already filled");
  count("--frames", flags.options.n_frames, "Frames of e2e");
  count("--rounds", flags.options.rounds, "Measurements of each part");
}

void add_model_flags(CLI::App& app, BenchOptions& options) {
  const char* group = "Model and machine";
  app.add_option("-m,--model", options.model, "Real checkpoint (default: weights made in memory)")
      ->type_name("PATH")
      ->group(group);
  const auto add = [&](const char* name, auto& value, const char* type, const char* text) {
    app.add_option(name, value, text)->type_name(type)->group(group)->capture_default_str();
  };
  add("--shape", options.shape, "SHAPE", "Shape of the weights made in memory: csm-1b, tiny");
  add("--backend", options.backend, "NAME", "What does the arithmetic");
  add("--quantize,--type", options.quantize, "TYPES", R"(q8_0, q6_K, q5_K, q4_K, q4_0, by part, or "" for --dtype)");
  add("--dtype", options.dtype, "TYPE", "Arithmetic type where nothing is quantised");
  add("--codec-dtype", options.codec_dtype, "TYPE", "Arithmetic type of the codec: f32, f16");
  add("--kv-type", options.kv_type, "TYPE", "Type of the backbone's memory: f32, f16, q8_0");
  add("--threads", options.n_threads, "N", "Threads; 0 = one for each physical core");
}

}  // namespace

void add_bench(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("bench", "Measure speed beside the memory's bandwidth");
  const auto flags = std::make_shared<BenchFlags>();
  app->footer(kFooter);
  add_what_flags(*app, *flags);
  add_model_flags(*app, flags->options);
  add_json_flag(*app, flags->json);
  app->add_flag("-q,--quiet", flags->quiet, "No progress")->group("Output");
  commands.push_back({app, [flags](const Configuration&) { return run_bench(*flags); }});
}

}  // namespace csm::app
