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

void add_place_flags(CLI::App& app, EngineOptions& options) {
  const char* group = "Model and machine";
  add_model_flag(app, options.model);
  app.add_option("--backend", options.backend, "What does the arithmetic; `csm doctor` lists them")
      ->type_name("NAME")
      ->group(group)
      ->capture_default_str();
  app.add_option("--device", options.device, "cpu, or a device that `csm doctor` lists")
      ->type_name("NAME")
      ->group(group)
      ->capture_default_str();
  app.add_option("--threads", options.n_threads, "Threads; 0 = one for each physical core")
      ->type_name("N")
      ->group(group)
      ->capture_default_str()
      ->check(whole_number(0));
}

void add_codec_dtype_flag(CLI::App& app, EngineOptions& options) {
  app.add_option("--codec-dtype", options.codec_dtype, "Arithmetic type of the codec: f32, f16")
      ->type_name("TYPE")
      ->group("Model and machine")
      ->capture_default_str();
}

void apply(const SamplingFlags::Part& part, SamplingOptions& options) {
  const auto take = [](auto& value, const auto& flag) {
    if (flag) value = *flag;
  };
  take(options.temperature, part.temperature);
  take(options.top_k, part.top_k);
  take(options.top_p, part.top_p);
  take(options.min_p, part.min_p);
  take(options.repetition_penalty, part.repetition_penalty);
  take(options.frequency_penalty, part.frequency_penalty);
  take(options.presence_penalty, part.presence_penalty);
  take(options.penalty_window, part.penalty_window);
}

void add_sampling_part(CLI::App& app, SamplingFlags::Part& part, const std::string& prefix, const std::string& group) {
  const auto add = [&](const char* name, auto& value, const char* type, const char* text) {
    app.add_option(prefix + name, value, text)->type_name(type)->group(group);
  };
  add("temperature", part.temperature, "X", "Spread of the draw, 0 or more; 0 = greedy");
  add("top-k", part.top_k, "N", "Only the N most probable codes; 0 = all");
  add("top-p", part.top_p, "P", "Only the most probable codes that sum to P; 1 = all");
  add("min-p", part.min_p, "P", "Only codes at least P times as probable as the best; 0 = all");
  add("repetition-penalty", part.repetition_penalty, "X", "Divides the logits of used codes; 1 = off");
  add("frequency-penalty", part.frequency_penalty, "X", "Subtracted for each earlier use; 0 = off");
  add("presence-penalty", part.presence_penalty, "X", "Subtracted once from used codes; 0 = off");
  add("penalty-window", part.penalty_window, "FRAMES", "How far back penalties look; 0 = to the start");
}

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

void add_model_flag(CLI::App& app, std::string& model) {
  app.add_option("-m,--model", model,
                 "Model directory or file, or a name on the hub: owner/name[@revision] (default: $CSM_MODEL, else the "
                 "bundled model)")
      ->type_name("PATH|NAME")
      ->group("Model and machine");
}

void add_json_flag(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "Print the result as JSON on standard output")->group("Output");
}

void add_engine_flags(CLI::App& app, EngineOptions& options) {
  const char* group = "Model and machine";
  add_place_flags(app, options);
  app.add_option("--dtype", options.dtype, "Arithmetic type: auto, f32, f16, bf16")
      ->type_name("TYPE")
      ->group(group)
      ->capture_default_str();
  app.add_option("--quantize", options.quantize,
                 "q8_0, q6_K, q5_K, q4_K, q4_0, iq4_nl; or by part: backbone=q8_0,depth=q6_K (default: off)")
      ->type_name("TYPES")
      ->group(group);
  add_codec_dtype_flag(app, options);
  app.add_option("--kv-type", options.kv_type, "Type of the backbone's memory: f32, f16, q8_0")
      ->type_name("TYPE")
      ->group(group)
      ->capture_default_str();
}

void add_codec_engine_flags(CLI::App& app, EngineOptions& options) {
  add_place_flags(app, options);
  add_codec_dtype_flag(app, options);
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

SamplingOptions SamplingFlags::backbone(SamplingOptions defaults) const {
  apply(both, defaults);
  if (greedy) defaults.temperature = 0;
  return defaults;
}

SamplingOptions SamplingFlags::depth_decoder(SamplingOptions defaults) const {
  apply(both, defaults);
  apply(depth, defaults);
  if (greedy) defaults.temperature = 0;
  return defaults;
}

void SamplingFlags::validate() const {
  if (greedy && (both.temperature || depth.temperature)) {
    throw UsageError("--greedy and a temperature exclude each other");
  }
  check_usage([&] {
    backbone(SamplingOptions()).validate("sampling");
    depth_decoder(SamplingOptions()).validate("depth decoder sampling");
  });
}

void add_sampling_flags(CLI::App& app, SamplingFlags& flags) {
  const std::string group = "Sampling (default: the model's generation_config.json)";
  add_sampling_part(app, flags.both, "--", group);
  app.add_flag("--greedy", flags.greedy, "Always the most probable code: same as temperature 0")->group(group);
  add_sampling_part(app, flags.depth, "--depth-", "Sampling of the depth decoder, where it shall differ");
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
