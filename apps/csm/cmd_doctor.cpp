// csm doctor: what this machine and this build can do.
#include <csm/inspect.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm doctor
  csm doctor --json > report.json

Ends with exit code 1 when it finds a problem.)";

Json to_json(const SystemReport& report) {
  Json libraries = Json::object();
  for (const auto& [name, version] : report.libraries) libraries[name] = version;
  Json devices = Json::array();
  for (const DeviceReport& device : report.devices) {
    devices.push_back({{"backend", device.backend},
                       {"name", device.name},
                       {"description", device.description},
                       {"memory_bytes", device.memory_bytes}});
  }
  return {{"csm_version", report.csm_version},
          {"compiler", report.compiler},
          {"operating_system", report.operating_system},
          {"logical_cores", report.n_logical_cores},
          {"physical_cores", report.n_physical_cores},
          {"memory_bytes", report.memory_bytes},
          {"cpu_features", report.cpu_features},
          {"libraries", libraries},
          {"devices", devices},
          {"audio_formats", report.audio_formats},
          {"bundled_model", report.bundled_model},
          {"problems", report.problems}};
}

std::string to_text(const SystemReport& report) {
  const auto line = [](const char* name, const std::string& value) { return fmt::format("{:<18}{}\n", name, value); };
  std::string text = line("csm", report.csm_version + ", " + report.compiler);
  text += line("system", report.operating_system);
  text +=
      line("processor", fmt::format("{} physical cores, {} logical", report.n_physical_cores, report.n_logical_cores));
  text += line("memory", human_bytes(report.memory_bytes));
  text += line("cpu features", fmt::format("{}", fmt::join(report.cpu_features, " ")));
  for (const auto& [name, version] : report.libraries) text += line("library", name + " " + version);
  for (const DeviceReport& device : report.devices) {
    text += line("device", fmt::format("{} ({}): {}, {}", device.name, device.backend, device.description,
                                       human_bytes(device.memory_bytes)));
  }
  text += line("audio formats", fmt::format("{}", fmt::join(report.audio_formats, " ")));
  text += line("bundled model", report.bundled_model.empty() ? "none found" : printable(report.bundled_model));
  for (const std::string& problem : report.problems) text += line("problem", printable(problem));
  return text + (report.problems.empty() ? "no problems found\n" : "");
}

int run_doctor(bool json) {
  const SystemReport report = doctor();
  if (json) {
    print_json(to_json(report));
  } else {
    print_text(to_text(report));
  }
  return report.problems.empty() ? kDone : kFailed;
}

}  // namespace

void add_doctor(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("doctor", "Show what this machine and this build can do");
  const auto json = std::make_shared<bool>(false);
  app->footer(kFooter);
  add_json_flag(*app, *json);
  commands.push_back({app, [json](const Configuration&) { return run_doctor(*json); }});
}

}  // namespace csm::app
