// csm voice: voices made of recordings, kept, shown, handed on.
#include <csm/engine.h>
#include <csm/error.h>
#include <csm/voice.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "commands.h"
#include "files.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm voice add anna hello.wav --text "Hello there, how are you?"
  csm voice add anna a.wav b.wav --text "First." --text "Second." --license CC0 --model csm-1b
  csm speak "Nice to meet you." --voice anna -o nice.wav
  csm voice export anna -o anna.csmvoice
  csm voice import anna.csmvoice --name anna2

A voice is one or more clips of a speaker with what is said in them, word for word; 3 to 10 seconds in all are enough.
It belongs to the codec of the model that it was added with. Use recordings only of people who agreed to it.)";

struct VoiceOptions {
  EngineOptions engine;
  std::string name;
  std::vector<std::string> clips;
  std::vector<std::string> texts;
  int speaker = 0;
  std::string license;
  std::string description;
  std::string output;
  std::string file;
  bool replace = false;
  bool json = false;

  VoiceConflict conflict() const { return replace ? VoiceConflict::kReplace : VoiceConflict::kFail; }
};

Json to_json(const VoiceEntry& entry, const Voice& voice) {
  Json clips = Json::array();
  for (const VoiceClip& clip : voice.clips) clips.push_back({{"text", clip.text}, {"frames", clip.codes.n_frames()}});
  return {{"name", entry.name},
          {"path", entry.path},
          {"bundled", entry.is_bundled},
          {"speaker", voice.speaker},
          {"license", voice.license},
          {"description", voice.description},
          {"seconds", voice.seconds()},
          {"sample_rate_hz", voice.codec.sample_rate_hz},
          {"n_codebooks", voice.codec.n_codebooks},
          {"clips", clips}};
}

int run_list(const VoiceOptions& options) {
  Json list = Json::array();
  std::string text;
  for (const VoiceEntry& entry : list_voices()) {
    try {
      const Voice voice = read_voice(entry.path);
      list.push_back(to_json(entry, voice));
      text += fmt::format("{:<16} speaker {}  {} clip{}, {:.1f} s  {} codebooks{}{}\n", printable(entry.name),
                          voice.speaker, voice.clips.size(), voice.clips.size() == 1 ? "" : "s", voice.seconds(),
                          voice.codec.n_codebooks, entry.is_bundled ? "  (comes with csm)" : "",
                          voice.description.empty() ? "" : "  " + printable(voice.description));
    } catch (const Error& error) {
      list.push_back({{"name", entry.name}, {"path", entry.path}, {"problem", error.what()}});
      text += fmt::format("{:<16} cannot be read: {}\n", printable(entry.name), printable(error.what()));
    }
  }
  if (options.json) {
    print_json({{"directory", voices_directory()}, {"voices", list}});
  } else {
    print_text(text.empty() ? "no voices; csm voice add NAME CLIP.wav --text \"...\" makes one\n" : text);
  }
  return kDone;
}

VoiceEntry entry_of(const std::string& name) {
  for (const VoiceEntry& entry : list_voices()) {
    if (entry.name == name) return entry;
  }
  return {name, name, false};
}

int run_show(const VoiceOptions& options) {
  const Voice voice = find_voice(options.name);
  const VoiceEntry entry = entry_of(options.name);
  if (options.json) {
    print_json(to_json(entry, voice));
    return kDone;
  }
  std::string text = fmt::format("{}: speaker {}, {:.1f} s\n", printable(voice.name), voice.speaker, voice.seconds());
  text += fmt::format("  codec      {} codebooks, {} Hz\n", voice.codec.n_codebooks, voice.codec.sample_rate_hz);
  text += fmt::format("  licence    {}\n", voice.license.empty() ? "not given" : printable(voice.license));
  if (!voice.description.empty()) text += fmt::format("  about      {}\n", printable(voice.description));
  text += fmt::format("  file       {}\n", printable(entry.path));
  for (const VoiceClip& clip : voice.clips) {
    const double seconds =
        clip.codes.n_frames() * static_cast<double>(voice.codec.frame_samples) / voice.codec.sample_rate_hz;
    text += fmt::format("  {:5.1f} s    \"{}\"\n", seconds, printable(clip.text));
  }
  print_text(text);
  return kDone;
}

// What the clips are like, before any model is loaded. Errors name the file.
std::vector<Audio> read_clips(const VoiceOptions& options) {
  if (options.clips.size() != options.texts.size()) {
    throw UsageError(fmt::format("each clip needs its --text, in the same order; found {} and {}", options.clips.size(),
                                 options.texts.size()));
  }
  std::vector<Audio> clips;
  for (size_t i = 0; i < options.clips.size(); ++i) {
    clips.push_back(read_audio(options.clips[i]));
    try {
      for (const std::string& warning : check_clip(clips.back(), options.texts[i]).warnings)
        fmt::print(stderr, "csm: '{}': {}\n", printable(options.clips[i]), warning);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("'{}': {}", options.clips[i], error.what()));
    }
  }
  return clips;
}

int run_add(const VoiceOptions& options) {
  Voice voice;
  voice.name = options.name;
  voice.speaker = options.speaker;
  voice.license = options.license;
  voice.description = options.description;
  voice.clips.resize(options.clips.size());
  check_usage([&] { voice.validate(); });
  const std::vector<Audio> clips = read_clips(options);
  const std::shared_ptr<Engine> engine = open_engine(options.engine);
  voice.codec = codec_identity(*engine);
  for (size_t i = 0; i < clips.size(); ++i) voice.clips[i] = make_clip(*engine, clips[i], options.texts[i]);
  const HoldSignals held;
  store_voice(voice, options.conflict());
  print_text(fmt::format("voice {}: {} clip{}, {:.1f} s; csm speak \"...\" --voice {} -o out.wav\n", voice.name,
                         clips.size(), clips.size() == 1 ? "" : "s", voice.seconds(), voice.name));
  return kDone;
}

int run_remove(const VoiceOptions& options) {
  remove_voice(options.name);
  print_text(fmt::format("removed voice {}\n", printable(options.name)));
  return kDone;
}

int run_export(const VoiceOptions& options) {
  const Voice voice = find_voice(options.name);
  const std::string path = options.output.empty() ? voice.name + ".csmvoice" : options.output;
  check_output_folder(path);
  if (!options.replace && std::filesystem::exists(path)) {
    throw UsageError(fmt::format("'{}' exists; --replace overwrites it", path));
  }
  write_voice(path, voice);
  print_text(fmt::format("wrote {}\n", printable(path)));
  return kDone;
}

int run_import(const VoiceOptions& options) {
  Voice voice = read_voice(options.file);
  if (!options.name.empty()) voice.name = options.name;
  store_voice(voice, options.conflict());
  print_text(fmt::format("voice {}: {} clip{}, {:.1f} s, licence {}\n", voice.name, voice.clips.size(),
                         voice.clips.size() == 1 ? "" : "s", voice.seconds(),
                         voice.license.empty() ? "not given" : printable(voice.license)));
  return kDone;
}

using Options = std::shared_ptr<VoiceOptions>;

void add_add(CLI::App& voice, Commands& commands, const Options& options) {
  CLI::App* add = voice.add_subcommand("add", "Make a voice of recordings");
  add->add_option("name", options->name, "How it will be called")->type_name("NAME")->required();
  add->add_option("clips", options->clips, "Recordings of any format and sample rate")
      ->type_name("CLIP.wav")
      ->required();
  add->add_option("--text", options->texts, "What is said in a clip, word for word; one for each")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->required();
  add->add_option("--speaker", options->speaker, "The number it speaks with where none is given")
      ->type_name("N")
      ->capture_default_str()
      ->check(whole_number(0));
  add->add_option("--license", options->license, "Under which terms it may be used")->type_name("TEXT");
  add->add_option("--description", options->description, "What it is like")->type_name("TEXT");
  add->add_flag("--replace", options->replace, "Take the place of a voice of that name");
  commands.push_back({add, [options](const Configuration& from) {
                        options->engine = from.settings.engine;
                        return run_add(*options);
                      }});
}

}  // namespace

void add_voice(CLI::App& program, Commands& commands) {
  CLI::App* voice = program.add_subcommand("voice", "Voices: add, list, show, rm, export, import");
  voice->footer(kFooter);
  voice->require_subcommand(1);
  const auto options = std::make_shared<VoiceOptions>();
  add_add(*voice, commands, options);

  CLI::App* list = voice->add_subcommand("list", "All voices");
  add_json_flag(*list, options->json);
  commands.push_back({list, [options](const Configuration&) { return run_list(*options); }});

  CLI::App* show = voice->add_subcommand("show", "One voice: its clips, codec, licence");
  show->add_option("name", options->name, "A voice, or the file of one")->type_name("NAME|FILE")->required();
  add_json_flag(*show, options->json);
  commands.push_back({show, [options](const Configuration&) { return run_show(*options); }});

  CLI::App* remove = voice->add_subcommand("rm", "Remove a voice of yours");
  remove->add_option("name", options->name, "The voice")->type_name("NAME")->required();
  commands.push_back({remove, [options](const Configuration&) { return run_remove(*options); }});

  CLI::App* give = voice->add_subcommand("export", "Write a voice to one file");
  give->add_option("name", options->name, "The voice")->type_name("NAME")->required();
  give->add_option("-o,--output", options->output, "Where to (default: NAME.csmvoice)")->type_name("FILE");
  give->add_flag("--replace", options->replace, "Overwrite the file");
  commands.push_back({give, [options](const Configuration&) { return run_export(*options); }});

  CLI::App* take = voice->add_subcommand("import", "Add a voice from a file");
  take->add_option("file", options->file, "What csm voice export wrote")->type_name("FILE")->required();
  take->add_option("--name", options->name, "Under another name")->type_name("NAME");
  take->add_flag("--replace", options->replace, "Take the place of a voice of that name");
  commands.push_back({take, [options](const Configuration&) { return run_import(*options); }});
}

}  // namespace csm::app
