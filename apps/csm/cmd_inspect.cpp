// csm inspect: what a model is, without running it.
#include <csm/inspect.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm inspect                      the bundled model
  csm inspect path/to/model --tensors
  csm inspect model.safetensors --json

A model directory is checked whole, as loading would: one error lists all that is missing, misshapen or not finite.)";

struct InspectOptions {
  std::string path;
  bool tensors = false;
  bool json = false;
};

Json to_json(const FileReport& report, const std::string& path) {
  Json spec = Json::object();
  for (const auto& [name, value] : report.spec) spec[name] = value;
  Json tensors = Json::array();
  for (const TensorSummary& tensor : report.tensors) {
    tensors.push_back(
        {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.n_bytes}});
  }
  Json memory = Json::object();
  for (const auto& [type, n_bytes] : report.memory_estimates) memory[type] = n_bytes;
  return {{"path", path},
          {"kind", report.kind},
          {"layout", report.layout},
          {"spec", spec},
          {"tensors", tensors},
          {"parameters", report.n_parameters},
          {"weight_bytes", report.weight_bytes},
          {"memory_bytes", memory},
          {"warnings", report.warnings}};
}

std::string pairs_text(const std::vector<std::pair<std::string, std::string>>& pairs) {
  size_t width = 0;
  for (const auto& [name, unused] : pairs) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : pairs) text += fmt::format("  {:<{}}  {}\n", name, width, value);
  return text;
}

std::string to_text(const FileReport& report, const InspectOptions& options) {
  std::string text = fmt::format("{}: {}{}\n", printable(options.path), report.kind,
                                 report.layout.empty() ? "" : ", " + report.layout + " layout");
  text += fmt::format("{} tensors, {:.1f} million parameters, {} stored\n", report.tensors.size(),
                      static_cast<double>(report.n_parameters) / 1e6, human_bytes(report.weight_bytes));
  if (!report.spec.empty()) text += "\nModel\n" + pairs_text(report.spec);
  if (!report.memory_estimates.empty()) {
    std::vector<std::pair<std::string, std::string>> memory;
    for (const auto& [type, n_bytes] : report.memory_estimates) memory.emplace_back(type, human_bytes(n_bytes));
    text += "\nMemory it needs (weights and KV cache)\n" + pairs_text(memory);
  }
  if (options.tensors) {
    std::vector<std::pair<std::string, std::string>> tensors;
    for (const TensorSummary& tensor : report.tensors) {
      tensors.emplace_back(
          printable(tensor.name),
          fmt::format("{} [{}], {}", tensor.type, fmt::join(tensor.shape, ", "), human_bytes(tensor.n_bytes)));
    }
    text += "\nTensors\n" + pairs_text(tensors);
  }
  for (const std::string& warning : report.warnings) text += "warning: " + printable(warning) + "\n";
  return text;
}

int run_inspect(InspectOptions options, const Settings& settings) {
  options.path = model_or_bundled(options.path.empty() ? settings.engine.model : options.path);
  const FileReport report = inspect(options.path);
  if (options.json) {
    print_json(to_json(report, options.path));
  } else {
    print_text(to_text(report, options));
  }
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("inspect", "Check a model and show what it is");
  const auto options = std::make_shared<InspectOptions>();
  app->footer(kFooter);
  app->add_option("model", options->path,
                  "Model directory, safetensors, PyTorch or GGUF file, or config.json (default: --model)")
      ->type_name("PATH");
  app->add_flag("--tensors", options->tensors, "List every tensor")->group("Output");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_inspect(*options, from.settings); }});
}

}  // namespace csm::app
