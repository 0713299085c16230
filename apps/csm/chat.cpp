#include "chat.h"

#include <csm/error.h>
#include <csm/voice.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <utility>

#include "context_report.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "request.h"
#include "watermark_key.h"

namespace csm::app {
namespace {

constexpr const char* kHelp = R"(A line is said by the current speaker and becomes context. Commands:
  /speaker N             who speaks from here on
  /voice NAME            the current speaker's voice from here on (csm voice list)
  /voice FILE TEXT       the same from a recording and its words
  /undo                  take the last turn back
  /turns                 what was said so far
  /report [TEXT]         which turns would be context for a text, and the room they take
  /save FILE             write the conversation to a file
  /load FILE             go on with a saved one
  /help, /quit           this list; the end, as is the end of the input
Ctrl-C stops the speech; once more, or while nothing is said, it ends the program. A line that shall begin with
a slash is written with two.)";

const std::vector<std::string>& command_names() {
  static const std::vector<std::string> names = {"/speaker", "/voice", "/undo", "/turns", "/report",
                                                 "/save",    "/load",  "/help", "/quit"};
  return names;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// "word rest of it" -> both.
std::pair<std::string, std::string> split_word(const std::string& text) {
  const size_t blank = text.find_first_of(" \t");
  if (blank == std::string::npos) return {text, ""};
  return {text.substr(0, blank), trimmed(text.substr(blank))};
}

int parse_speaker(const std::string& text) {
  const bool digits = !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) throw UsageError(fmt::format("/speaker: expected a whole number from 0, found '{}'", text));
  return std::stoi(text);
}

const std::string& need_path(const std::string& command, const std::string& path) {
  if (path.empty()) throw UsageError(command + ": which file? write " + command + " FILE");
  return path;
}

}  // namespace

Chat::Chat(Conversation conversation, ChatOptions options, const Settings& settings)
    : conversation_(std::move(conversation)),
      options_(std::move(options)),
      settings_(settings),
      speaker_(options_.speaker) {}

std::string Chat::prompt() const { return fmt::format("[{}] ", speaker_); }

bool Chat::take(const std::string& line) {
  const std::string text = trimmed(line);
  if (text.empty()) return true;
  if (text[0] != '/' || text.compare(0, 2, "//") == 0) {
    say(text[0] == '/' ? text.substr(1) : text);
    return true;
  }
  const auto [name, rest] = split_word(text);
  if (name == "/quit") return false;
  command(name, rest);
  return true;
}

SpeechRequest Chat::request_of(const std::string& text) const {
  SpeechRequest request;
  request.watermark.key = watermark_key(settings_.watermark);
  apply_settings(settings_, *conversation_.engine(), request);
  request.text = text;
  request.speaker = speaker_;
  request.seed = options_.seed + conversation_.turns().size();
  return request;
}

// The first number from the turn's own that no file has.
std::string Chat::next_file() const {
  for (size_t number = conversation_.turns().size() + 1;; ++number) {
    const std::string path = fmt::format("{}/{:03}.{}", options_.folder, number,
                                         settings_.output.format.empty() ? "wav" : settings_.output.format);
    if (!std::filesystem::exists(path)) return path;
  }
}

// What is played as it is made cannot be taken back; else the guard may draw it again, and all of it comes at the end.
SpeechResult Chat::generate(const SpeechRequest& request, SoundOutput& sound) {
  Progress progress(settings_.output.quiet);
  const auto start = std::chrono::steady_clock::now();
  const auto show = [&](double seconds) {
    progress.speech(seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  };
  const std::shared_ptr<Engine>& engine = conversation_.engine();
  if (!options_.play) {
    SpeechResult result = engine->synthesize(request, [&](const SpeechProgress& so_far) {
      show(so_far.audio_seconds);
      return !interrupted();
    });
    progress.clear();
    sound.add(result.audio.samples);
    return result;
  }
  const std::unique_ptr<SpeechStream> stream = engine->start(request);
  for (std::vector<float> samples; stream->next(samples);) {
    if (interrupted()) {
      stream->cancel();
      continue;
    }
    sound.add(samples);
    show(sound.seconds());
  }
  progress.clear();
  return stream->result();
}

void Chat::say(const std::string& text) {
  const SpeechRequest request = request_of(text);
  const std::string path = next_file();
  SoundOutput sound({path, {}, options_.play}, settings_.output, conversation_.engine()->sample_rate_hz());
  const HoldSignals held;
  const SpeechResult result = generate(conversation_.with_context(request), sound);
  if (take_interrupt() || !conversation_.keep(request, result)) {
    print_text(fmt::format("csm: not said and not kept: {} after {} frames", to_string(result.stats.finish_reason),
                           result.codes.n_frames()));
    return;
  }
  try {
    sound.finish();
    saved();
  } catch (...) {
    conversation_.undo();
    throw;
  }
  report(request, result.stats, path);
  sound.check_playback();
}

void Chat::report(const SpeechRequest& request, const SpeechStats& stats, const std::string& path) const {
  if (!settings_.output.quiet) {
    print_text(fmt::format("csm: {}: {:.2f} s, {} of {} positions of context were still in memory, real-time factor {:.2f}, {}",
                           printable(path), stats.audio_seconds, stats.n_reused_positions, stats.n_prompt_positions,
                           stats.real_time_factor, to_string(stats.finish_reason)));
  }
  if (options_.json) {
    const Json line = {{"turn", conversation_.turns().size()}, {"speaker", speaker_},
                       {"text", request.text},                 {"file", path},
                       {"seconds", stats.audio_seconds},       {"frames", stats.n_frames},
                       {"seed", request.seed},                 {"finish_reason", to_string(stats.finish_reason)},
                       {"prompt_positions", stats.n_prompt_positions},
                       {"reused_positions", stats.n_reused_positions}};
    const std::string bytes = line.dump() + "\n";
    write_stdout(bytes.data(), bytes.size());
  }
}

void Chat::saved() const {
  if (!options_.save_path.empty()) conversation_.save(options_.save_path);
}

void Chat::command(const std::string& name, const std::string& rest) {
  if (name == "/speaker") {
    speaker_ = parse_speaker(rest);
  } else if (name == "/voice") {
    add_voice(rest);
  } else if (name == "/undo") {
    const auto undone = conversation_.undo();
    saved();
    print_text(undone ? fmt::format("csm: took back: {}", printable(undone->text)) : "csm: there is nothing to take back");
  } else if (name == "/turns") {
    list_turns();
  } else if (name == "/report") {
    print_text(to_text(conversation_.context_report(request_of(rest.empty() ? "x" : rest))));
  } else if (name == "/save") {
    conversation_.save(need_path(name, rest));
    print_text(fmt::format("csm: {} turns are in {}", conversation_.turns().size(), printable(rest)));
  } else if (name == "/load") {
    conversation_ = Conversation::load(conversation_.engine(), need_path(name, rest), conversation_.options());
    print_text(fmt::format("csm: going on after {} turns", conversation_.turns().size()));
  } else if (name == "/help") {
    print_text(kHelp);
  } else {
    const auto near = nearest(name, command_names());
    throw UsageError(fmt::format("there is no command {}; {}", printable(name),
                                 near ? fmt::format("did you mean {}?", *near) : "/help lists them"));
  }
}

void Chat::use_voice(const std::string& name) {
  replace_voice(voice_turns(*conversation_.engine(), find_voice(name), speaker_));
}

// Pinned turns that were not said here are the voice. What a saved conversation has already stays where it is, so that its prompt
// begins as before.
void Chat::replace_voice(const std::vector<Turn>& turns) {
  Conversation changed = conversation_;
  std::vector<bool> is_there(turns.size(), false);
  for (size_t i = changed.turns().size(); i-- > 0;) {
    const ConversationTurn& old = changed.turns()[i];
    if (old.speaker != speaker_ || !old.pinned || old.generated) continue;
    const auto same = std::find_if(turns.begin(), turns.end(), [&](const Turn& turn) {
      return turn.text == old.text && turn.codes && turn.codes->ids == old.codes.ids;
    });
    if (same == turns.end()) {
      changed.remove(i);
    } else {
      is_there[static_cast<size_t>(same - turns.begin())] = true;
    }
  }
  for (size_t i = 0; i < turns.size(); ++i) {
    if (is_there[i]) continue;
    Turn turn = turns[i];
    turn.pinned = true;
    changed.add_turn(turn);
  }
  conversation_ = std::move(changed);
}

// A voice by its name, or a recording and its words.
void Chat::add_voice(const std::string& rest) {
  const auto [name, words] = split_word(rest);
  if (name.empty()) throw UsageError("/voice: which one? write /voice NAME, or /voice FILE TEXT for a recording and its words");
  if (words.empty()) {
    use_voice(name);
  } else {
    Turn turn;
    turn.speaker = speaker_;
    turn.text = words;
    turn.audio = read_audio(name);
    replace_voice({turn});
  }
  saved();
  print_text(fmt::format("csm: speaker {} sounds like {} from here on", speaker_, printable(name)));
}

void Chat::list_turns() const {
  for (size_t i = 0; i < conversation_.turns().size(); ++i) {
    const ConversationTurn& turn = conversation_.turns()[i];
    print_text(fmt::format("{:>4} [{}]{} {}", i + 1, turn.speaker, turn.pinned ? " (voice)" : "", printable(turn.text)));
  }
}

}  // namespace csm::app
