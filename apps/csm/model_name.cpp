#include "model_name.h"

#include <fmt/format.h>

#include <filesystem>

#include "flags.h"
#include "interrupt.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr double kSettledSeconds = 1;  // before this a speed says nothing

std::string human_time(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  return seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

std::string DownloadProgress::line(const HubProgress& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (progress.repo != repo_ || (begin_bytes_ == 0 && progress.bytes > 0)) {
    repo_ = progress.repo;
    begin_ = now;
    begin_bytes_ = progress.bytes;
  }
  std::string text = progress.repo + ": ";
  if (progress.n_files > 0) {
    text += fmt::format("{} of {} files, {} of {}", progress.n_files_done, progress.n_files,
                        human_bytes(progress.bytes), human_bytes(progress.total_bytes));
  }
  if (!progress.note.empty()) return text + (progress.n_files > 0 ? ", " : "") + progress.note;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  if (seconds < kSettledSeconds || progress.bytes <= begin_bytes_) return text;
  const double speed = static_cast<double>(progress.bytes - begin_bytes_) / seconds;
  const double left = static_cast<double>(progress.total_bytes - progress.bytes) / speed;
  return text + fmt::format(", {}/s, {} left", human_bytes(static_cast<uint64_t>(speed)), human_time(left));
}

HubProgressCallback DownloadProgress::callback() {
  return [this](const HubProgress& progress) {
    if (!interrupted()) progress_.show(line(progress));
    return !interrupted();
  };
}

HubName need_hub_name(const std::string& text) {
  if (const auto name = parse_hub_name(text)) return *name;
  std::vector<std::string> names;
  for (const KnownModel& known : known_models()) {
    names.push_back(known.short_name);
    names.push_back(known.repo);
  }
  const auto near = nearest(text, names);
  throw UsageError(
      fmt::format("'{}' is not the name of a model: expected owner/name, owner/name@revision or a short name{}", text,
                  near ? "; did you mean '" + *near + "'?" : ""));
}

std::string locate_model(const std::string& path_or_name) {
  std::error_code error;
  if (std::filesystem::exists(path_or_name, error)) return path_or_name;
  const auto name = parse_hub_name(path_or_name);
  if (!name) return path_or_name;  // the loader says that there is no such path
  const HubOptions options = HubOptions::from_environment();
  const HoldSignals held;
  DownloadProgress progress(false);
  try {
    const std::string path = resolve_model(*name, options, progress.callback());
    check_interrupt();
    return path;
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::kNotFound) throw;
    throw Error(failure.code(),
                fmt::format("no file or directory '{}', and as a name on the hub: {}", path_or_name, failure.what()));
  }
}

}  // namespace csm::app
