// csm models: what is in the cache of the hub, and removing it.
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
  csm models
  csm models --json
  csm models rm csm-1b
  csm models rm owner/name@revision    that commit and what only it uses)";

struct ModelsOptions {
  bool json = false;
  std::vector<std::string> names;
};

Json to_json(const HubOptions& hub, const std::vector<CachedModel>& models) {
  Json list = Json::array();
  for (const CachedModel& model : models) {
    list.push_back({{"model", model.repo},
                    {"commit", model.commit},
                    {"revisions", model.revisions},
                    {"path", model.path},
                    {"files", model.files},
                    {"bytes", model.bytes},
                    {"modified", model.modified_unix},
                    {"problem", model.problem}});
  }
  return {{"cache", hub.cache_directory}, {"models", list}};
}

std::string to_text(const HubOptions& hub, const std::vector<CachedModel>& models) {
  if (models.empty())
    return fmt::format("no models in '{}'; csm pull NAME fetches one", printable(hub.cache_directory));
  size_t width = 0;
  uint64_t total = 0;
  for (const CachedModel& model : models) {
    width = std::max(width, model.repo.size());
    total += model.bytes;
  }
  std::string text;
  for (const CachedModel& model : models) {
    text += fmt::format("{:<{}}  {:>10}  {}  {}{}{}\n", model.repo, width, human_bytes(model.bytes),
                        utc_text(model.modified_unix, "%Y-%m-%d"), model.commit.substr(0, 12),
                        model.revisions.empty() ? "" : fmt::format(" ({})", fmt::join(model.revisions, ", ")),
                        model.problem.empty() ? "" : "  [not whole: " + printable(model.problem) + "]");
  }
  return text + fmt::format("{} in '{}'\n", human_bytes(total), printable(hub.cache_directory));
}

int run_list(const ModelsOptions& options) {
  const HubOptions hub = HubOptions::from_environment();
  const std::vector<CachedModel> models = cached_models(hub);
  if (options.json) {
    print_json(to_json(hub, models));
  } else {
    print_text(to_text(hub, models));
  }
  return kDone;
}

int run_remove(const ModelsOptions& options) {
  const HubOptions hub = HubOptions::from_environment();
  std::vector<HubName> names;
  for (const std::string& name : options.names) names.push_back(need_hub_name(name));
  const HoldSignals held;
  for (const HubName& name : names) {
    const uint64_t n_bytes = remove_cached_model(name, hub);
    print_text(fmt::format("removed {}: {} freed", name.text(), human_bytes(n_bytes)));
    check_interrupt();
  }
  return kDone;
}

}  // namespace

void add_models(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("models", "Show or remove what is in the cache of the hub");
  const auto options = std::make_shared<ModelsOptions>();
  app->footer(kFooter);
  add_json_flag(*app, options->json);
  CLI::App* remove = app->add_subcommand("rm", "Remove models from the cache");
  remove->add_option("names", options->names, "owner/name[@revision], or short names")->type_name("NAME")->required();
  commands.push_back({remove, [options](const Configuration&) { return run_remove(*options); }});
  commands.push_back({app, [options](const Configuration&) { return run_list(*options); }});  // after rm: both count as parsed then
}

}  // namespace csm::app
