// csm convert: model files into the form of another engine.
#include <csm/convert.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm convert path/to/csm-1b csm-1b-mlx --to mlx
  csm convert path/to/csm-1b csm-1b-mlx-4bit --to mlx --bits backbone=4,depth=8
  csm convert path/to/csm-1b csm-1b-mlx --to mlx --names names.json

The MLX directory holds model.safetensors in the names of csm-mlx and mlx-audio, mimi.safetensors, and the model's
configuration and tokenizer. csm opens it with every backend.)";

struct ConvertOptions {
  std::string model;
  std::string directory;
  std::string to;
  MlxConvertOptions mlx;
  bool quiet = false;
  bool json = false;
};

int run_convert(ConvertOptions& options) {
  const HoldSignals hold;
  Progress progress(options.quiet);
  options.mlx.on_progress = [&](const ConvertProgress& done) {
    progress.show(fmt::format("{:.0f} % of {}: {}",
                              100.0 * static_cast<double>(done.bytes_done) / static_cast<double>(done.bytes_total),
                              human_bytes(done.bytes_total), printable(done.tensor)));
    return !interrupted();
  };
  const ConvertReport report = convert_to_mlx(model_or_bundled(options.model), options.directory, options.mlx);
  progress.clear();
  if (options.json) {
    print_json({{"directory", options.directory},
                {"tensors", report.n_tensors},
                {"quantised", report.n_quantised},
                {"bytes", report.n_bytes}});
  } else if (!options.quiet) {
    print_text(fmt::format("csm: {}: {} tensors, {} of them quantised, {}", printable(options.directory),
                           report.n_tensors, report.n_quantised, human_bytes(report.n_bytes)));
  }
  return kDone;
}

}  // namespace

void add_convert(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("convert", "Write a model in the form of another engine");
  const auto options = std::make_shared<ConvertOptions>();
  app->footer(kFooter);
  app->add_option("model", options->model, "A model: directory or file")->type_name("MODEL")->required();
  app->add_option("directory", options->directory, "The directory to write; it must not exist, or be empty")
      ->type_name("DIR")
      ->required();
  app->add_option("--to", options->to, "The form: mlx")->type_name("FORM")->required()->check(CLI::IsMember({"mlx"}));
  const char* weights = "Weights";
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
  commands.push_back({app, [options] { return run_convert(*options); }});
}

}  // namespace csm::app
