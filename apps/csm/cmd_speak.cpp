// csm speak: text and conversation in, speech out.
#include <csm/conversation.h>
#include <csm/engine.h>
#include <csm/error.h>
#include <csm/inspect.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "commands.h"
#include "context_report.h"
#include "conversation.h"
#include "files.h"
#include "flags.h"
#include "interrupt.h"
#include "narration.h"
#include "output.h"
#include "progress.h"
#include "request.h"
#include "silentcipher.h"
#include "watermark_key.h"
#include "sound_output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm speak "Good morning." -o morning.wav
  csm speak "The same, once more." --seed 7 -o again.flac
  csm speak "For the radio." --sample-rate 48000 --bits 24 --loudness -16 --tag title="For the radio" -o radio.wav
  csm speak "Aloud." --play
  echo "From a pipe." | csm speak - -o - | aplay
  csm speak "I agree." --context-text "Hello there." --context-audio hello.wav -o agree.wav
  csm speak "And you?" --speaker 1 --context conversation.json -o you.wav --json
  csm speak "Go on." --conversation talk.json --save-conversation talk.json -o on.wav

A conversation file is a list of turns in order; paths are relative to it:
  [{"speaker": 0, "text": "Hello there.", "audio": "hello.wav"},
   {"speaker": 1, "text": "Hi!", "codes": "hi.safetensors"}]
Without a text, its last turn is spoken if that has neither audio nor codes.
--temperature and the other sampling flags set the backbone and the depth decoder; --depth-... sets the latter alone.
Without --seed each run differs; the summary and --json name the seed that repeats it.)";

struct SpeakOptions {
  Settings settings;
  std::optional<std::string> text;
  std::string text_file;
  std::string long_file;
  NarrationFlags narration;
  ContextFlags context;
  SoundFlags sound;
  std::string dump_prompt;
  std::string conversation;
  std::string save_conversation;
  bool report_context = false;
  bool json = false;
  std::shared_ptr<const SilentCipher> cipher;  // marks the finished speech; null: nothing does
  WatermarkOptions own_mark;                   // csm's own, which follows it where both are asked for

  bool speaks() const { return sound.play || !sound.output.empty(); }
};

// A saved conversation goes on however long it is; turns given by hand are all meant.
ContextOptions context_options(const SpeakOptions& options) {
  const bool goes_on = !options.conversation.empty();
  return options.settings.context.options(goes_on ? ContextStrategy::kHybrid : ContextStrategy::kNone);
}

void check_options(const SpeakOptions& options) {
  if (static_cast<int>(options.text.has_value()) + static_cast<int>(!options.text_file.empty()) + static_cast<int>(!options.long_file.empty()) > 1) {
    throw UsageError("give one of a text, --text-file and --file");
  }
  if (!options.long_file.empty() && !options.speaks()) throw UsageError("where shall the speech go? --file needs -o or --play");
  if (!options.speaks() && options.dump_prompt.empty()) {
    throw UsageError("where shall the speech go? add -o FILE.wav, -o - for standard output, or --play");
  }
  if (options.json && options.sound.to_stdout()) {
    throw UsageError("--json and -o - both want standard output; write the audio to a file, or drop --json");
  }
  EngineOptions engine = options.settings.engine;
  if (engine.model.empty()) engine.model = "bundled";  // found later; the other fields are what is checked
  check_usage([&] { engine.validate(); });
  check_audio_on_stdout(options.sound.output);
  check_output_folder(options.sound.output);
  check_output_folder(options.dump_prompt);
  (void)options.settings.output.audio(options.sound.tags);
  check_output_folder(options.save_conversation);
  if (!options.conversation.empty() && options.context.any()) {
    throw UsageError("give the turns so far either by --conversation or by the --context flags");
  }
  (void)context_options(options);
}

std::string given_text(const SpeakOptions& options) {
  if (!options.text_file.empty()) return read_line_of_speech(options.text_file);
  return *options.text == "-" ? read_line_of_speech("-") : *options.text;
}

// The utterance: the text that was given, else the last turn of the conversation where that is still to be spoken.
void fill_utterance(const SpeakOptions& options, SpeechRequest& request) {
  if (options.text || !options.text_file.empty()) {
    request.text = given_text(options);
  } else if (!request.context.empty() && !request.context.back().audio && !request.context.back().codes) {
    request.text = request.context.back().text;
    request.speaker = request.context.back().speaker;
    request.context.pop_back();
  } else {
    throw UsageError("what shall be spoken? give a text, --text-file FILE, or - for standard input");
  }
  if (request.text.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "the text is empty; expected something to speak");
  }
}

SpeechRequest make_request(const SpeakOptions& options) {
  SpeechRequest request;
  request.context = read_context(options.context);
  fill_utterance(options, request);
  request.watermark.key = watermark_key(options.settings.watermark);
  return request;
}

void check_said(const SpeechResult& result) {
  if (result.codes.n_frames() > 0 || result.stats.finish_reason != FinishReason::kDeadline) return;
  throw Error(ErrorCode::kResourceLimit, "the deadline passed before anything was said; give more time or a shorter context");
}

// All of it before any of it is written: the guard may draw it again, and SilentCipher marks what is finished.
SpeechResult speak_whole(Engine& engine, const SpeechRequest& request, SoundOutput& sound, const SpeakOptions& options) {
  Progress progress(options.settings.output.quiet);
  progress.show("reading the prompt");
  const auto start = std::chrono::steady_clock::now();
  std::optional<HoldSignals> held;  // until the first samples a signal may end us at once: nothing is written
  SpeechResult result = engine.synthesize(request, [&](const SpeechProgress& so_far) {
    if (!held) held.emplace();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    progress.speech(so_far.audio_seconds, elapsed.count());
    return !interrupted();
  });
  progress.clear();
  check_interrupt();
  check_said(result);
  if (options.cipher) {
    result.stats.watermark = mark_finished(*options.cipher, options.settings.watermark, options.own_mark, result.audio);
  }
  sound.add(result.audio.samples);
  sound.finish();
  return result;
}

SpeechResult speak(Engine& engine, const SpeechRequest& request, SoundOutput& sound, const SpeakOptions& options) {
  const bool streams = options.sound.play || options.sound.to_stdout();
  const bool is_whole = options.cipher || (!streams && request.guard.policy == GuardPolicy::kRetry);
  if (is_whole) return speak_whole(engine, request, sound, options);
  Progress progress(options.settings.output.quiet);
  progress.show("reading the prompt");
  const auto start = std::chrono::steady_clock::now();
  const std::unique_ptr<SpeechStream> stream = engine.start(request);
  std::vector<float> samples;
  bool more = stream->next(samples);  // until the first samples a signal may end us at once: nothing is written
  const HoldSignals held;
  while (more && !interrupted()) {
    sound.add(samples);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    progress.speech(sound.seconds(), elapsed.count());
    samples.clear();
    more = stream->next(samples);
  }
  progress.clear();
  if (interrupted()) {
    stream->cancel();
    check_interrupt();
  }
  SpeechResult result = stream->result();
  check_said(result);
  sound.finish();
  return result;
}

std::string ending(const SpeechStats& stats) {
  std::string text = "ended by the model";
  if (stats.finish_reason == FinishReason::kMaxLength) text = "stopped at the length limit";
  if (stats.finish_reason == FinishReason::kDeadline) text = "stopped at the deadline";
  if (stats.finish_reason == FinishReason::kLoop) text = "stopped as it repeated itself";
  if (stats.finish_reason == FinishReason::kSilence) text = "stopped as it fell silent";
  if (stats.n_attempts > 1) text += fmt::format(", {} attempts", stats.n_attempts);
  return text;
}

Json to_json(const std::vector<GuardFinding>& findings) {
  Json list = Json::array();
  for (const GuardFinding& finding : findings) {
    list.push_back({{"attempt", finding.attempt},
                    {"reason", to_string(finding.reason)},
                    {"at_seconds", finding.at_seconds},
                    {"kept_seconds", finding.kept_seconds},
                    {"period_seconds", finding.period_seconds}});
  }
  return list;
}

std::string name_of_output(const SpeakOptions& options) {
  if (options.sound.output.empty()) return "played";
  return options.sound.to_stdout() ? "standard output" : printable(options.sound.output);
}

void print_summary(const SpeakOptions& options, const SpeechStats& stats) {
  if (options.settings.output.quiet) return;
  print_text(fmt::format(
      "csm: {}: {:.2f} s of speech, {} frames, real-time factor {:.2f}, seed {}, {}", name_of_output(options),
      stats.audio_seconds, stats.n_frames, stats.real_time_factor, stats.seed, ending(stats)));
}

Json to_json(const SpeakOptions& options, const std::string& model, const SpeechRequest& request,
             const SpeechStats& stats) {
  return {{"file", options.sound.output},   {"model", model},
          {"seconds", stats.audio_seconds}, {"frames", stats.n_frames},
          {"seed", request.seed},           {"finish_reason", to_string(stats.finish_reason)},
          {"attempts", stats.n_attempts},   {"found", to_json(stats.findings)},
          {"expected_seconds", stats.expected_seconds},
          {"rtf", stats.real_time_factor},  {"first_audio_ms", stats.first_audio_ms},
          {"context_ms", stats.context_ms}, {"prefill_ms", stats.prefill_ms},
          {"total_ms", stats.total_ms},     {"prompt_positions", stats.n_prompt_positions},
          {"reused_positions", stats.n_reused_positions},
          {"threads", stats.n_threads},     {"peak_memory_bytes", peak_memory_bytes()},
          {"watermark", watermark_json(stats.watermark)},
          {"silentcipher", options.cipher ? Json(to_string(silentcipher_message(options.settings.watermark))) : Json()}};
}

// A text of any length, piece by piece.
int read_aloud(SpeakOptions options) {
  refuse_silentcipher(options.settings.watermark, "--file");
  NarrationPart part{read_text(options.long_file), 0, {}};
  options.settings.engine.model = model_or_bundled(options.settings.engine.model);
  const std::shared_ptr<Engine> engine = open_engine(options.settings.engine);
  SpeechRequest request;
  request.context = read_context(options.context);
  request.watermark.key = watermark_key(options.settings.watermark);
  apply_settings(options.settings, *engine, request);
  apply_voice(options.settings, *engine, request);
  part.speaker = request.speaker;
  part.anchor = request.context;
  const Json report = narrate_aloud(*engine, request, {part}, options.narration, options.settings.output, options.sound);
  if (options.json) print_json(report);
  return kDone;
}

// The turns so far: those of a saved conversation, or those given by flags.
Conversation conversation_of(const SpeakOptions& options, const std::shared_ptr<Engine>& engine, const SpeechRequest& request) {
  ConversationOptions keeping;
  keeping.context = context_options(options);
  if (!options.conversation.empty()) return Conversation::load(engine, options.conversation, keeping);
  Conversation conversation(engine, keeping);
  if (!options.save_conversation.empty()) {
    for (const Turn& turn : request.context) conversation.add_turn(turn);
  }
  return conversation;
}

void save_conversation(const SpeakOptions& options, Conversation& conversation, const SpeechRequest& said,
                       const SpeechResult& result) {
  if (options.save_conversation.empty()) return;
  if (!conversation.keep(said, result)) print_text("csm: stopped half-way, so the conversation was saved without it");
  conversation.save(options.save_conversation);
}

int run_speak(SpeakOptions options) {
  check_options(options);
  if (!options.long_file.empty()) return read_aloud(std::move(options));
  SpeechRequest said = make_request(options);
  options.settings.engine.model = model_or_bundled(options.settings.engine.model);
  const std::shared_ptr<Engine> engine = open_engine(engine_options(options.settings));
  SoundOutput sound(options.sound, options.settings.output, engine->sample_rate_hz());
  apply_settings(options.settings, *engine, said);
  Conversation conversation = conversation_of(options, engine, said);
  SpeechRequest request = said;  // with all turns
  request.context_options = context_options(options);
  said.context.clear();
  if (!conversation.turns().empty()) request = conversation.with_context(said);
  apply_voice(options.settings, *engine, request);
  said.speaker = request.speaker;
  if (wants_silentcipher(options.settings.watermark)) {
    options.cipher = open_silentcipher(options.settings.watermark);
    options.own_mark = request.watermark;
    request.watermark.enabled = false;
  }
  if (!options.dump_prompt.empty()) write_tensor_file(options.dump_prompt, prompt_file(engine->prompt(request)));
  if (!options.speaks()) return kDone;
  std::optional<ContextReport> context;
  if (options.report_context) context = engine->context_report(request);
  if (context) print_text(to_text(*context));
  SpeechResult result = speak(*engine, request, sound, options);
  result.stats.seed = request.seed;
  print_summary(options, result.stats);
  save_conversation(options, conversation, said, result);
  if (options.json) {
    Json document = to_json(options, options.settings.engine.model, request, result.stats);
    if (context) document["context"] = app::to_json(*context);
    add_summary(document, sound);
    print_json(document);
  }
  sound.check_playback();
  return kDone;
}

void add_output_flags(CLI::App& app, SpeakOptions& options) {
  const char* group = "Output";
  app.add_option("-o,--output", options.sound.output,
                 "Audio file (.wav, .flac, .ogg, .opus, .mp3 ...); - streams to standard output, WAV unless --format "
                 "says otherwise")
      ->type_name("FILE")
      ->group(group);
  add_play_flag(app, options.sound);
  add_tag_flag(app, options.sound);
  app.add_option("--dump-prompt", options.dump_prompt, "Write what the model is given; without -o nothing is spoken")
      ->type_name("FILE.safetensors")
      ->group(group);
  app.add_flag("--context-report", options.report_context, "Say which turns are kept, why, and the room they take")->group(group);
  add_json_flag(app, options.json);
}

}  // namespace

void add_speak(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("speak", "Turn text into speech");
  const auto options = std::make_shared<SpeakOptions>();
  app->footer(kFooter);
  app->add_option("text", options->text, "What to say; - reads standard input")->type_name("TEXT");
  app->add_option("--text-file", options->text_file, "Read the text from a file; one final line break is dropped")
      ->type_name("FILE")
      ->group("What to say");
  app->add_option("--file", options->long_file, "Read a text of any length aloud, piece by piece; - reads standard input")
      ->type_name("FILE")
      ->group("What to say");
  add_narration_flags(*app, options->narration);
  add_context_flags(*app, options->context);
  add_conversation_flags(*app, options->conversation, options->save_conversation);
  add_output_flags(*app, *options);
  commands.push_back({app, [options](const Configuration& from) {
                        options->settings = from.settings;
                        return run_speak(*options);
                      }});
}

}  // namespace csm::app
