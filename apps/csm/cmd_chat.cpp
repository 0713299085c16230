// csm chat: type a line, get it spoken; what was said is context.
#include <csm/error.h>
#include <csm/voice.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>

#include "chat.h"
#include "commands.h"
#include "conversation.h"
#include "files.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "request.h"
#include "silentcipher.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm chat -o talk
  printf 'Good morning.\n/speaker 1\nHow are you?\n' | csm chat -o talk --save-conversation talk.json
  csm chat -o talk --conversation talk.json --save-conversation talk.json

Each line becomes the next free one of DIR/001.wav, 002.wav ... and context of the lines after it. /help lists the
commands: /speaker, /voice, /undo, /turns, /report, /save, /load, /quit. Ctrl-C stops the speech; once more, or while
nothing is said, it ends the program. --seed N is the seed of the first turn, N + 1 that of the second.)";

struct ChatFlags {
  Settings settings;
  std::string conversation;
  ChatOptions chat;
};

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorCode::kIo, "cannot make the folder '" + folder + "': " + error.message());
}

// False at the end of the input. A signal ends the wait. Errors: kCancelled.
bool read_line(std::string& line) {
  line.clear();
  for (int c = std::getc(stdin); c != EOF; c = std::getc(stdin)) {
    if (c == '\n') return true;
    line += static_cast<char>(c);
  }
  check_interrupt();
  return !line.empty();
}

// Lines until /quit or the end of the input. A line that fails is reported, and the chat goes on; the exit code remembers it.
// A signal between two lines of a pipe stops the second one.
int read_lines(Chat& chat) {
  const bool asks = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
  const HoldSignals held;
  int code = kDone;
  std::string line;
  for (;;) {
    if (asks) check_interrupt();
    if (asks) fmt::print(stderr, "{}", chat.prompt());
    if (!read_line(line)) return code;
    try {
      if (!chat.take(line)) return code;
    } catch (const std::exception& error) {
      print_error(error.what());
      code = kFailed;
    }
  }
}

int run_chat(ChatFlags flags) {
  const Settings& settings = flags.settings;
  if (flags.chat.folder.empty()) throw UsageError("where shall the speech go? add -o DIR");
  refuse_silentcipher(settings.watermark, "csm chat");
  check_output_folder(flags.chat.save_path);
  ConversationOptions keeping;
  keeping.context = settings.context.options(ContextStrategy::kHybrid);
  const std::shared_ptr<Engine> engine = open_engine(engine_options(settings));
  make_folder(flags.chat.folder);
  const std::string& voice = settings.speech.voice;
  flags.chat.speaker = settings.speech.speaker.value_or(voice.empty() ? 0 : find_voice(voice).speaker);
  flags.chat.seed = settings.speech.seed ? *settings.speech.seed : uint64_t{std::random_device{}()};
  Conversation conversation = flags.conversation.empty() ? Conversation(engine, keeping)
                                                         : Conversation::load(engine, flags.conversation, keeping);
  Chat chat(std::move(conversation), flags.chat, settings);
  if (!voice.empty()) chat.use_voice(voice);
  return read_lines(chat);
}

}  // namespace

void add_chat(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("chat", "Type lines, get them spoken, with all that was said as context");
  const auto flags = std::make_shared<ChatFlags>();
  app->footer(kFooter);
  app->add_option("-o,--output", flags->chat.folder, "Folder for the sound files, made if need be")
      ->type_name("DIR")
      ->group("Output");
  app->add_flag("--play", flags->chat.play, "Play it as it is made")->group("Output");
  add_conversation_flags(*app, flags->conversation, flags->chat.save_path);
  add_json_flag(*app, flags->chat.json);
  commands.push_back({app, [flags](const Configuration& from) {
                        flags->settings = from.settings;
                        return run_chat(*flags);
                      }});
}

}  // namespace csm::app
