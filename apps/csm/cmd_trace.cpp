// csm trace: logits along a path of codes, the tool for parity, for judging quantisation and for comparing backends.
#include <csm/engine.h>
#include <csm/error.h>
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "commands.h"
#include "compare.h"
#include "files.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm speak "Hello." --dump-prompt prompt.safetensors
  csm trace --prompt prompt.safetensors --greedy 20 --out greedy.safetensors
  csm trace --prompt prompt.safetensors --forced greedy.safetensors --quantize q4_0 --compare greedy.safetensors

--prompt   frames int32 and mask uint8 [n_positions, n_codebooks + 1], the last column is text
--forced   codes int32 [n, n_codebooks]
--out      codes int32 [n, n_codebooks], hidden float32 [n, backbone_width], and
           logits float32 [n, n_codebooks, audio_vocab] (row f, c chooses code c of frame f))";

struct TraceOptions {
  std::string prompt;
  std::string forced;
  std::optional<int> n_greedy;
  std::string output;
  std::string golden;
  bool json = false;
};

void check_options(const TraceOptions& options) {
  if (options.forced.empty() == !options.n_greedy) {
    throw UsageError("give either --forced FILE (a path of codes) or --greedy N (at most N frames)");
  }
  if (options.output.empty() && options.golden.empty()) {
    throw UsageError("nothing to do: add --out FILE, --compare GOLDEN, or both");
  }
  check_output_folder(options.output);
}

TraceRequest make_request(const TraceOptions& options) {
  TraceRequest request;
  request.prompt = read_prompt(options.prompt);
  if (options.n_greedy) {
    request.max_frames = *options.n_greedy;
    return request;
  }
  request.forced = read_codes(options.forced);
  request.max_frames = request.forced->n_frames();
  if (request.forced->n_codebooks != request.prompt.n_columns - 1) {
    throw Error(ErrorCode::kInvalidData,
                fmt::format("'{}' has {} codebooks, but '{}' has {} columns; expected one column more", options.forced,
                            request.forced->n_codebooks, options.prompt, request.prompt.n_columns));
  }
  return request;
}

void check_model(const Engine& engine, const TraceOptions& options, const TraceRequest& request) {
  if (!engine.has_language_model()) {
    throw Error(ErrorCode::kUnsupported, "this checkpoint holds a codec alone; csm trace needs a language model");
  }
  if (request.prompt.n_columns != engine.n_codebooks() + 1) {
    throw Error(ErrorCode::kInvalidData,
                fmt::format("'{}' has {} columns; this model has {} codebooks and one text column", options.prompt,
                            request.prompt.n_columns, engine.n_codebooks()));
  }
}

bool ends(const Codes& codes) {
  if (codes.n_frames() == 0) return false;
  for (auto it = codes.ids.end() - codes.n_codebooks; it != codes.ids.end(); ++it) {
    if (*it != 0) return false;
  }
  return true;
}

void write_trace(const TraceOptions& options, Trace& trace) {
  const int64_t n_frames = trace.codes.n_frames();
  TensorFile file;
  file.tensors["codes"] = codes_tensor(trace.codes);
  file.tensors["logits"] = {{n_frames, trace.codes.n_codebooks, trace.audio_vocab}, std::move(trace.logits)};
  file.tensors["hidden"] = {{n_frames, trace.backbone_width}, std::move(trace.hidden)};
  if (options.n_greedy) file.metadata["eos"] = ends(trace.codes) ? "True" : "False";
  write_tensor_file(options.output, file);
}

int run_trace(const TraceOptions& options, const Settings& settings) {
  check_options(options);
  const TraceRequest request = make_request(options);
  const std::shared_ptr<Engine> engine = open_engine(settings.engine);
  check_model(*engine, options, request);
  Trace trace = engine->trace(request);
  std::optional<Comparison> comparison;
  if (!options.golden.empty()) comparison = compare_with_golden(trace, options.golden);
  const int n_frames = trace.codes.n_frames();
  Json document = {{"frames", n_frames},
                   {"codebooks", trace.codes.n_codebooks},
                   {"audio_vocab", trace.audio_vocab},
                   {"backbone_width", trace.backbone_width},
                   {"ended", ends(trace.codes)}};
  if (!options.output.empty()) write_trace(options, trace);
  if (options.json) {
    document["file"] = options.output;
    if (comparison) document["comparison"] = to_json(*comparison);
    print_json(document);
    return kDone;
  }
  if (!options.output.empty()) print_text(fmt::format("csm: {}: {} frames", printable(options.output), n_frames));
  if (comparison) print_text(to_text(*comparison));
  return kDone;
}

}  // namespace

void add_trace(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("trace", "Write the logits along a path of codes, and compare them");
  const auto options = std::make_shared<TraceOptions>();
  app->footer(kFooter);
  app->add_option("--prompt", options->prompt, "What the model is given, as csm speak --dump-prompt writes it")
      ->type_name("FILE")
      ->group("Path")
      ->required();
  app->add_option("--forced", options->forced, "Follow these codes, whatever the logits say")
      ->type_name("FILE")
      ->group("Path");
  app->add_option("--greedy", options->n_greedy,
                  "Run freely: the most probable codes, to the all-zero frame or N frames")
      ->type_name("N")
      ->group("Path")
      ->check(whole_number(1));
  app->add_option("--out", options->output, "Tensor file to write")->type_name("FILE")->group("Output");
  app->add_option("--compare", options->golden, "Compare with the logits of this file")
      ->type_name("GOLDEN")
      ->group("Output");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_trace(*options, from.settings); }});
}

}  // namespace csm::app
