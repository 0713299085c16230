// What this build and this machine are (csm/inspect.h), and where the bundled model is.
#include <csm/inspect.h>

#include <dlfcn.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "audio/containers.h"
#include "backends/registry.h"
#include "base/fail.h"
#include "base/system.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBundledName = "demo";

std::string compiler_name() {
#if defined(__clang__)
  return __VERSION__;  // names itself
#elif defined(__GNUC__)
  return fmt::format("GCC {}", __VERSION__);
#else
  return "unknown";
#endif
}

// The file this code was loaded from: the library, or the program it is in; empty when the system does not tell.
fs::path own_file() {
  Dl_info info = {};
  std::error_code error;
  if (::dladdr(reinterpret_cast<const void*>(&own_file), &info) == 0 || info.dli_fname == nullptr) return {};
  const fs::path path = fs::canonical(info.dli_fname, error);
  if (!error) return path;
  return fs::read_symlink("/proc/self/exe", error);  // a program started by a bare name is reported by that name
}

bool is_model(const fs::path& directory) {
  std::error_code error;
  return fs::is_regular_file(directory / "config.json", error);
}

void report_backends(SystemReport& report) {
  for (const std::string& name : backend_names()) {
    try {
      const std::unique_ptr<Backend> backend = make_backend(name);
      report.libraries.emplace_back(backend->name(), backend->version());
      for (const DeviceInfo& device : backend->devices()) {
        report.devices.push_back({name, device.name, device.description, device.memory_bytes});
      }
      const std::vector<std::string> features = backend->cpu_features();
      if (report.cpu_features.empty()) report.cpu_features = features;
      if (backend->devices().empty()) report.problems.push_back(fmt::format("backend {} has no device", name));
    } catch (const std::exception& error) {
      report.problems.push_back(fmt::format("backend {} does not start: {}", name, error.what()));
    }
  }
  if (backend_names().empty()) {
    report.problems.emplace_back("this build has no backend; configure it with -DCSM_GGML=ON or -DCSM_MLX=ON");
  }
}

void report_model(SystemReport& report) {
  report.bundled_model = bundled_model_path();
  if (report.bundled_model.empty()) {
    report.problems.emplace_back("the bundled model was not found; set CSM_MODEL to a model directory or give --model");
    return;
  }
  try {
    inspect(report.bundled_model);
  } catch (const std::exception& error) {
    report.problems.push_back(fmt::format("the bundled model cannot be used: {}", error.what()));
  }
}

}  // namespace

namespace {

// Where something that comes with csm.cpp may lie.
std::vector<fs::path> bundled_places(const char* name) {
  // First beside an installed program or library, wherever its prefix was moved (PREFIX/bin/csm,
  // PREFIX/lib/ARCH/libcsm.so), so that it needs nothing of the place where it was built.
  std::vector<fs::path> places;
  fs::path prefix = own_file().parent_path();
  for (int levels = 0; levels < 3 && prefix.has_relative_path(); ++levels) {
    prefix = prefix.parent_path();
    places.push_back(prefix / "share/csm/models" / name);
  }
  places.push_back(fs::path(CSM_SOURCE_MODELS_DIR) / name);
  places.push_back(fs::path(CSM_INSTALL_MODELS_DIR) / name);
  return places;
}

}  // namespace

std::string bundled_model_path() {
  if (const char* chosen = std::getenv("CSM_MODEL"); chosen != nullptr && *chosen != '\0') return chosen;
  for (const fs::path& place : bundled_places(kBundledName)) {
    if (is_model(place)) return place.lexically_normal().string();
  }
  return "";
}

std::string bundled_voices_path() {
  std::error_code error;
  for (const fs::path& place : bundled_places("voices")) {
    if (fs::is_directory(place, error)) return place.lexically_normal().string();
  }
  return "";
}

SystemReport doctor() {
  SystemReport report;
  report.csm_version = CSM_VERSION;
  report.compiler = compiler_name();
  report.operating_system = operating_system();
  report.n_logical_cores = n_logical_cores();
  report.n_physical_cores = n_physical_cores();
  report.memory_bytes = total_memory_bytes();
  report_backends(report);
  report.libraries.emplace_back("libsndfile", audio_library_version());
  report.libraries.emplace_back(
      "fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100));
  report.libraries.emplace_back("nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                                             NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH));
  report.audio_formats = audio_formats();
  report_model(report);
  return report;
}

}  // namespace csm
