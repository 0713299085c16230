// csm pull: a model of the Hugging Face Hub into the cache on this machine.
#include <csm/hub.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "interrupt.h"
#include "model_name.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm pull csm-1b                      short for sesame/csm-1b
  csm pull unsloth/csm-1b@main
  csm pull owner/name/model-q8_0.gguf  one of several files
  csm speak "Hello." --model csm-1b -o hello.wav

Only the files that csm reads are fetched; each is verified, and a broken download goes on where it stopped. The cache is
that of Python's huggingface_hub: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean there.)";

struct PullOptions {
  std::string name;
  bool quiet = false;
  bool json = false;
};

std::string known_names() {
  std::string text = "\n\nShort names:";
  for (const KnownModel& known : known_models()) {
    text += fmt::format("\n  {:<16}{:<34}{}", known.short_name, known.repo, known.about);
  }
  return text;
}

Json to_json(const PulledModel& model) {
  return {{"model", model.repo},    {"revision", model.revision},
          {"commit", model.commit}, {"path", model.path},
          {"files", model.files},   {"companions", model.companions},
          {"bytes", model.bytes},   {"fetched_bytes", model.fetched_bytes}};
}

int run_pull(const PullOptions& options) {
  const HubName name = need_hub_name(options.name);
  const HubOptions hub = HubOptions::from_environment();
  DownloadProgress progress(options.quiet);
  PulledModel model;
  {
    const HoldSignals held;
    model = pull_model(name, hub, progress.callback());
  }
  check_interrupt();
  progress.clear();
  if (options.json) {
    print_json(to_json(model));
  } else if (!options.quiet) {
    print_text(fmt::format("{}: {} files, {} ({} fetched), commit {}\n{}", model.repo, model.files.size(),
                           human_bytes(model.bytes), human_bytes(model.fetched_bytes), model.commit.substr(0, 12),
                           printable(model.path)));
    for (const std::string& companion : model.companions) print_text("with " + printable(companion));
  }
  return kDone;
}

}  // namespace

void add_pull(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("pull", "Fetch a model from the Hugging Face Hub");
  const auto options = std::make_shared<PullOptions>();
  app->footer(kFooter + known_names());
  app->add_option("name", options->name, "owner/name[@revision], or a short name")->type_name("NAME")->required();
  app->add_flag("-q,--quiet", options->quiet, "No progress and no summary")->group("Output");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration&) { return run_pull(*options); }});
}

}  // namespace csm::app
