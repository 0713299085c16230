// csm config: the settings, where each comes from, and what there is.
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "config/documentation.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm config                                         every setting, its value, and where it comes from
  csm config --preset calm
  csm config --presets
  csm config --temperature 0.7 --save-config ~/.config/csm/config.toml
  csm speak --print-config                           what csm speak would use

Later ones win: defaults, configuration file, preset, environment (CSM_...), flags. A key of the file is the flag's name in
its section. docs/configuration.md lists them all.)";

struct ConfigOptions {
  bool presets = false;
  bool markdown = false;
};

int run_config(const ConfigOptions& options, const Configuration& configuration) {
  if (options.markdown) {
    print_stdout(configuration_markdown());
  } else if (options.presets) {
    print_stdout(presets_text(configuration));
  } else {
    return print_config(configuration);
  }
  return kDone;
}

}  // namespace

void add_config(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("config", "Show all settings and where each comes from");
  const auto options = std::make_shared<ConfigOptions>();
  app->footer(kFooter);
  app->add_flag("--presets", options->presets, "List the presets and what they set")->group("What to show");
  app->add_flag("--markdown", options->markdown, "Print docs/configuration.md")->group("");
  commands.push_back({app, [options](const Configuration& from) { return run_config(*options, from); }});
}

}  // namespace csm::app
