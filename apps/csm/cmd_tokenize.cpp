// csm tokenize: text to token ids, as the model reads it.
#include <csm/inspect.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm tokenize "Hello from Sesame."
  csm tokenize --model path/to/model --json "Hello from Sesame."
  csm tokenize --bos-eos - < text.txt

Files and standard input are taken byte for byte, a final line break included.
JSON holds ids and tokens of the text alone, and ids_bos_eos with the tokens that stand around it in a prompt.)";

struct TokenizeOptions {
  std::optional<std::string> text;
  std::string text_file;
  bool bos_eos = false;
  bool json = false;
};

std::string given_text(const TokenizeOptions& options) {
  if (options.text && !options.text_file.empty()) throw UsageError("give either a text or --text-file");
  if (!options.text_file.empty()) return read_text(options.text_file);
  if (!options.text)
    throw UsageError("what shall be tokenized? give a text, --text-file FILE, or - for standard input");
  return *options.text == "-" ? read_text("-") : *options.text;
}

int run_tokenize(const TokenizeOptions& options, const Settings& settings) {
  const std::string text = given_text(options);
  const TokenizeResult result = tokenize(model_or_bundled(settings.engine.model), text);
  if (options.json) {
    print_json({{"ids", result.ids}, {"tokens", result.tokens}, {"ids_bos_eos", result.ids_bos_eos}});
    return kDone;
  }
  if (options.bos_eos) {
    print_text(fmt::format("{}", fmt::join(result.ids_bos_eos, " ")));
    return kDone;
  }
  std::string lines;
  for (size_t i = 0; i < result.ids.size(); ++i)
    lines += fmt::format("{:>7}  {}\n", result.ids[i], printable(result.tokens[i]));
  print_text(lines + fmt::format("{} tokens", result.ids.size()));
  return kDone;
}

}  // namespace

void add_tokenize(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("tokenize", "Show the tokens of a text");
  const auto options = std::make_shared<TokenizeOptions>();
  app->footer(kFooter);
  app->add_option("text", options->text, "The text; - reads standard input")->type_name("TEXT");
  app->add_option("--text-file", options->text_file, "Read the text from a file; one final line break is dropped")
      ->type_name("FILE")
      ->group("What to read");
  app->add_flag("--bos-eos", options->bos_eos, "Print the ids alone, with the begin and end tokens of a prompt")
      ->group("Output");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_tokenize(*options, from.settings); }});
}

}  // namespace csm::app
