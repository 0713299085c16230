// csm convert: any model into one GGUF file, or into the form of another engine.
#include <csm/convert.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "commands.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm convert path/to/csm-1b csm-1b.gguf                            one file that holds everything, weights as stored
  csm convert path/to/csm-1b csm-1b-q8_0.gguf --type q8_0
  csm convert path/to/csm-1b csm-1b-small.gguf --type q4_K,depth=q6_K,tables=f16,codec=f16
  csm convert path/to/csm-1b out.gguf --type q8_0 --dry-run         what it would hold, and sizes
  csm convert path/to/csm-1b csm-1b-mlx --to mlx
  csm convert path/to/csm-1b csm-1b-mlx-4bit --to mlx --bits backbone=4,depth=8
  csm convert path/to/csm-1b csm-1b-mlx --to mlx --names names.json

A GGUF file holds language model, codec, configuration and tokenizer, and opens by mapping: csm speak --model out.gguf.
Weights are bit for bit those of --quantize at load. Heads and projection keep 8 bits or more; embedding tables and the
codec stay as stored unless named. The file appears under its name only when it is whole.

The MLX directory holds model.safetensors in the names of csm-mlx and mlx-audio, mimi.safetensors, and the model's
configuration and tokenizer. csm opens it with every backend.)";

constexpr int kBarWidth = 24;

struct ConvertOptions {
  std::string model;
  std::string out;  // a file, or a directory for MLX
  std::string to = "gguf";
  GgufConvertOptions gguf;
  MlxConvertOptions mlx;
  bool dry_run = false;
  bool quiet = false;
  bool json = false;
};

std::function<bool(const ConvertProgress&)> draw_progress(Progress& progress) {
  return [&progress](const ConvertProgress& done) {
    const double part = static_cast<double>(done.bytes_done) / static_cast<double>(done.bytes_total);
    const std::string bar(static_cast<size_t>(part * kBarWidth), '#');
    progress.show(fmt::format("[{:<{}}] {:3.0f} % of {}: {}", bar, kBarWidth, 100 * part, human_bytes(done.bytes_total),
                              printable(done.tensor)));
    return !interrupted();
  };
}

int show_report(const ConvertOptions& options, const ConvertReport& report) {
  if (options.json) {
    print_json({{options.to == "mlx" ? "directory" : "file", options.out},
                {"tensors", report.n_tensors},
                {"quantised", report.n_quantised},
                {"bytes", report.n_bytes}});
  } else if (!options.quiet) {
    print_text(fmt::format("csm: {}: {} tensors, {} of them quantised, {}", printable(options.out), report.n_tensors,
                           report.n_quantised, human_bytes(report.n_bytes)));
  }
  return kDone;
}

int show_plan(const ConvertOptions& options, const GgufPlan& plan) {
  if (options.json) {
    Json tensors = Json::array();
    for (const ConvertedTensor& tensor : plan.tensors) {
      tensors.push_back({{"name", tensor.name},
                         {"part", tensor.part},
                         {"from", tensor.from},
                         {"to", tensor.to},
                         {"shape", tensor.shape},
                         {"bytes", tensor.n_bytes}});
    }
    Json parts = Json::object();
    for (const auto& [part, n_bytes] : plan.part_bytes) parts[part] = n_bytes;
    print_json({{"file", options.out}, {"bytes", plan.n_bytes}, {"parts", parts}, {"tensors", tensors}});
    return kDone;
  }
  std::string text;
  for (const ConvertedTensor& tensor : plan.tensors) {
    text += fmt::format("  {:<60}  {:>4} -> {:<6}  {:>10}\n", printable(tensor.name), tensor.from, tensor.to,
                        human_bytes(tensor.n_bytes));
  }
  text += fmt::format("{}: {} tensors, {}; nothing was written\n", printable(options.out), plan.tensors.size(),
                      human_bytes(plan.n_bytes));
  for (const auto& [part, n_bytes] : plan.part_bytes) text += fmt::format("  {:<14}{:>10}\n", part, human_bytes(n_bytes));
  print_text(text);
  return kDone;
}

// A file without the ending would not be known as a model; a directory was perhaps meant for MLX.
void check_ending(const std::string& path) {
  std::error_code error;
  const bool is_device = std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error) &&
                         !std::filesystem::is_directory(path, error);
  if (is_device || std::filesystem::path(path).extension() == ".gguf") return;
  throw UsageError(fmt::format("'{}' does not end in .gguf; name the file so, or give --to mlx for a directory", path));
}

int run_convert(ConvertOptions& options) {
  if (options.to == "gguf") check_ending(options.out);
  check_usage([&] {
    options.gguf.validate();
    options.mlx.validate();
  });
  const std::string model = model_or_bundled(options.model);
  if (options.dry_run) return show_plan(options, plan_gguf_conversion(model, options.gguf));
  const HoldSignals hold;
  Progress progress(options.quiet || options.json);
  options.gguf.on_progress = options.mlx.on_progress = draw_progress(progress);
  const ConvertReport report = options.to == "mlx" ? convert_to_mlx(model, options.out, options.mlx)
                                                   : convert_to_gguf(model, options.out, options.gguf);
  progress.clear();
  return show_report(options, report);
}

// Flags of the one form do nothing for the other, which nobody shall believe.
void check_flags(const CLI::App& app, const ConvertOptions& options) {
  const bool is_mlx = options.to == "mlx";
  for (const char* flag : {"--dtype", "--bits", "--group-size", "--names"}) {
    if (!is_mlx && app.count(flag) > 0) throw UsageError(fmt::format("{} belongs to --to mlx; GGUF takes --type", flag));
  }
  for (const char* flag : {"--type", "--dry-run", "--name", "--threads"}) {
    if (is_mlx && app.count(flag) > 0) throw UsageError(fmt::format("{} belongs to GGUF files; --to mlx takes --dtype and --bits", flag));
  }
}

}  // namespace

void add_convert(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("convert", "Write a model as one GGUF file, or for another engine");
  const auto options = std::make_shared<ConvertOptions>();
  app->footer(kFooter);
  app->add_option("model", options->model, "A model: directory or file")->type_name("MODEL")->required();
  app->add_option("out", options->out, "The file to write; for mlx a directory that does not exist, or is empty")
      ->type_name("OUT")
      ->required();
  app->add_option("--to", options->to, "The form: gguf or mlx")
      ->type_name("FORM")
      ->check(CLI::IsMember({"gguf", "mlx"}))
      ->capture_default_str();
  const char* gguf = "GGUF";
  app->add_option("--type", options->gguf.type,
                  "stored, f32, f16, bf16, q8_0, q6_K, q5_K, q4_K, q4_0, iq4_nl; or by part: "
                  "q4_K,depth=q6_K,tables=f16,codec=f16")
      ->type_name("TYPE")
      ->group(gguf)
      ->capture_default_str();
  app->add_option("--name", options->gguf.name, "The model's name in the file (default: the directory's)")
      ->type_name("NAME")
      ->group(gguf);
  app->add_option("--threads", options->gguf.n_threads, "Threads; 0 = one for each physical core")
      ->type_name("N")
      ->group(gguf)
      ->check(whole_number(0))
      ->capture_default_str();
  app->add_flag("--dry-run", options->dry_run, "Print what the file would hold, with sizes, and write nothing")->group(gguf);
  const char* weights = "MLX";
  app->add_option("--dtype", options->mlx.dtype, "Type of what is not quantised: f32, f16, bf16")
      ->type_name("TYPE")
      ->group(weights)
      ->capture_default_str();
  app->add_option("--bits", options->mlx.quantize,
                  "Quantise to 8, 6, 4 or 3 bits; or by part: backbone=4,depth=8 (default: off)")
      ->type_name("BITS")
      ->group(weights);
  app->add_option("--group-size", options->mlx.group_size, "Elements that share a scale: 32, 64, 128")
      ->type_name("N")
      ->group(weights)
      ->check(CLI::IsMember({32, 64, 128}))
      ->capture_default_str();
  app->add_option("--names", options->mlx.names_file,
                  "JSON object: beginning of a canonical name -> what MLX shall have there")
      ->type_name("FILE")
      ->group(weights);
  app->add_flag("--quiet", options->quiet, "No progress and no summary")->group("Output");
  add_json_flag(*app, options->json);
  commands.push_back({app, [app, options](const Configuration&) {
                        check_flags(*app, *options);
                        return run_convert(*options);
                      }});
}

}  // namespace csm::app
