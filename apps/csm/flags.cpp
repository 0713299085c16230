#include "flags.h"

#include <csm/inspect.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "model_name.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr size_t kMaxTextBytes = 16 << 20;
constexpr int kHelpColumn = 36;

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

}  // namespace

void check_usage(const std::function<void()>& validate) {
  try {
    validate();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

CLI::Validator whole_number(int least) {
  return CLI::Validator(
      [least](std::string& value) {
        const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
        const bool enough = digits && (least == 0 || value.find_first_not_of('0') != std::string::npos);
        errno = 0;  // CLI11 would take the greatest number for one that is too great
        const bool fits = digits && (std::strtoull(value.c_str(), nullptr, 10), errno != ERANGE);
        return enough && fits ? std::string()
                              : fmt::format("expected a whole number from {}, found '{}'", least, value);
      },
      "");
}

HelpFormatter::HelpFormatter() { column_width(kHelpColumn); }

// Other names for the same flag are in the documentation; here they would hide what the flag does.
std::string HelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  if (is_positional) return option->get_name(true, false);
  std::string names = option->get_snames().empty() ? "" : "-" + option->get_snames().front();
  if (!option->get_lnames().empty()) names += (names.empty() ? "--" : ",--") + option->get_lnames().front();
  return names;
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0 || option->get_type_name().empty()) return "";
  const std::string type = option->get_type_name();  // CLI11 appends the names of the checks after a colon
  return " " + type.substr(0, type.find(':'));
}

// One blank line between groups, where CLI11 leaves two.
std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return CLI::Formatter::make_usage(app, std::move(name)) + "\n";
}

std::string HelpFormatter::make_group(std::string group, bool is_positional,
                                      std::vector<const CLI::Option*> options) const {
  const std::string text = CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
  return text.substr(text.find_first_not_of('\n')) + (is_positional ? "\n" : "");
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  const std::string& value = option->get_default_str();
  std::string text = option->get_description();
  if (option->get_required()) text += " (required)";
  return value.empty() ? text : text + " (default: " + value + ")";
}

void add_json_flag(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "Print the result as JSON on standard output")->group("Output");
}

std::string model_or_bundled(const std::string& model) {
  if (!model.empty()) return locate_model(model);
  const std::string bundled = bundled_model_path();
  if (bundled.empty()) {
    throw Error(ErrorCode::kNotFound,
                "no model: the bundled one was not found; name a model directory with --model PATH or CSM_MODEL");
  }
  return locate_model(bundled);  // CSM_MODEL may hold a name as well
}

std::shared_ptr<Engine> open_engine(EngineOptions options) {
  options.model = model_or_bundled(options.model);
  check_usage([&] { options.validate(); });
  std::shared_ptr<Engine> engine = Engine::open(options);
  for (const std::string& note : engine->notes()) fmt::print(stderr, "csm: {}\n", printable(note));
  return engine;
}

std::string read_text(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string where = is_stdin ? "standard input" : "'" + path + "'";
  const std::unique_ptr<std::FILE, CloseFile> file(is_stdin ? stdin : std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("cannot open {}: {}", where, std::strerror(errno)));
  }
  std::string text;
  char buffer[1 << 16];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text.append(buffer, n);
    if (text.size() > kMaxTextBytes) {
      throw Error(ErrorCode::kInvalidData,
                  fmt::format("{} is too long: expected at most {} bytes of text", where, kMaxTextBytes));
    }
  }
  if (std::ferror(file.get()) != 0) {
    throw Error(ErrorCode::kIo, fmt::format("cannot read {}: {}", where, std::strerror(errno)));
  }
  return text;
}

std::string read_line_of_speech(const std::string& path) {
  std::string text = read_text(path);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

}  // namespace csm::app
