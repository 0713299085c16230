// csm script: a dialogue of several speakers, each with a voice.
#include <csm/engine.h>
#include <csm/error.h>
#include <csm/voice.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "commands.h"
#include "files.h"
#include "flags.h"
#include "narration.h"
#include "output.h"
#include "request.h"
#include "silentcipher.h"
#include "watermark_key.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm script play.txt -o play.wav
  csm script play.txt --cast Anna=female,Ben=male -o play.flac
  csm script lines.jsonl -o - | aplay

A script names who speaks, in the order of the conversation; lines that name nobody go on with the turn:
  Anna: Hello there.
    How are you?
  # a comment
  Ben: Fine. [pause:0.5s] And you?
or one object a line: {"speaker": "Anna", "text": "Hello there.", "voice": "female"}
Speakers have the numbers 0, 1 ... in the order in which they appear, unless a voice is given.)";

struct ScriptOptions {
  Settings settings;
  std::string file;
  std::vector<std::string> cast;
  NarrationFlags narration;
  SoundFlags sound;
  bool json = false;
};

// NAME=VOICE; every name must speak.
std::map<std::string, std::string> read_cast(const ScriptOptions& options, const Script& script) {
  std::map<std::string, std::string> cast;
  for (const std::string& entry : options.cast) {
    const size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (equals == std::string::npos || name.empty() || equals + 1 == entry.size()) {
      throw UsageError(fmt::format("--cast has '{}'; expected SPEAKER=VOICE", printable(entry)));
    }
    if (std::find(script.speakers.begin(), script.speakers.end(), name) == script.speakers.end()) {
      const auto near = nearest(name, script.speakers);
      throw UsageError(fmt::format("--cast names '{}', who does not speak in the script{}", printable(name), near ? "; did you mean '" + *near + "'?" : ""));
    }
    cast[name] = entry.substr(equals + 1);
  }
  return cast;
}

std::vector<NarrationPart> make_parts(const ScriptOptions& options, Engine& engine, const Script& script) {
  const std::map<std::string, std::string> cast = read_cast(options, script);
  std::map<std::pair<std::string, int>, std::vector<Turn>> anchors;  // each voice is read once
  std::vector<NarrationPart> parts;
  for (const ScriptLine& line : script.lines) {
    const std::string& name = script.speakers[static_cast<size_t>(line.speaker)];
    const auto entry = cast.find(name);
    const std::string voice = !line.voice.empty() ? line.voice : entry != cast.end() ? entry->second : options.settings.speech.voice;
    NarrationPart part{line.text, line.speaker, {}};
    if (!voice.empty()) {
      const auto [anchor, is_new] = anchors.try_emplace({voice, line.speaker});
      if (is_new) anchor->second = voice_turns(engine, find_voice(voice), line.speaker);
      part.anchor = anchor->second;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

int run_script(ScriptOptions options) {
  if (options.sound.output.empty() && !options.sound.play) throw UsageError("where shall the speech go? add -o FILE.wav, -o - for standard output, or --play");
  if (options.json && options.sound.to_stdout()) throw UsageError("--json and -o - both want standard output; write the audio to a file, or drop --json");
  refuse_silentcipher(options.settings.watermark, "csm script");
  check_audio_on_stdout(options.sound.output);
  check_output_folder(options.sound.output);
  (void)options.settings.output.audio(options.sound.tags);
  const Script script = parse_script(read_text(options.file), options.file == "-" ? "standard input" : options.file);
  options.settings.engine.model = model_or_bundled(options.settings.engine.model);
  const std::shared_ptr<Engine> engine = open_engine(options.settings.engine);
  SpeechRequest request;
  request.watermark.key = watermark_key(options.settings.watermark);
  apply_settings(options.settings, *engine, request);
  const std::vector<NarrationPart> parts = make_parts(options, *engine, script);
  const Json report = narrate_aloud(*engine, request, parts, options.narration, options.settings.output, options.sound);
  if (options.json) print_json(report);
  return 0;
}

}  // namespace

void add_script(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("script", "Speak a dialogue, a voice for each speaker");
  const auto options = std::make_shared<ScriptOptions>();
  app->footer(kFooter);
  app->add_option("file", options->file, "The script; - reads standard input")->type_name("FILE")->required();
  app->add_option("--cast", options->cast, "Voices of the speakers; `csm voice list` names them")->type_name("SPEAKER=VOICE")->delimiter(',');
  add_narration_flags(*app, options->narration);
  app->add_option("-o,--output", options->sound.output, "Audio file (.wav, .flac, .ogg, .opus, .mp3 ...); - streams WAV to standard output")->type_name("FILE")->group("Output");
  add_tag_flag(*app, options->sound);
  add_play_flag(*app, options->sound);
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) {
                        options->settings = from.settings;
                        return run_script(*options);
                      }});
}

}  // namespace csm::app
