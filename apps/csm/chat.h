// A conversation at the keyboard: lines that are said, and commands that begin with a slash.
//
// Place in the flow: csm chat reads lines -> Chat -> csm::Conversation -> numbered sound files. Main thread.
#pragma once

#include <csm/conversation.h>

#include <cstdint>
#include <string>

#include "config/settings.h"
#include "sound_output.h"

namespace csm::app {

struct ChatOptions {
  std::string folder;     // for the sound files
  bool play = false;      // as it is made
  std::string save_path;  // after every turn; "" = only where /save says
  int speaker = 0;        // who speaks at first
  uint64_t seed = 0;      // of the first turn; each has the next number, so that one that is taken back and said again is the same
  bool json = false;      // one object on standard output for each turn
};

class Chat {
 public:
  Chat(Conversation conversation, ChatOptions options, const Settings& settings);

  // The current speaker sounds like this voice from here on: its clips become pinned turns, in place of those of the voice before.
  // Errors: those of find_voice and voice_turns.
  void use_voice(const std::string& name);
  // Says a line or does what it commands. False when it was /quit. Errors: csm::Error, UsageError for commands; the conversation
  // is then as it was.
  bool take(const std::string& line);
  // Before the next line on a terminal: who speaks.
  std::string prompt() const;

 private:
  void say(const std::string& text);
  void command(const std::string& name, const std::string& rest);
  void add_voice(const std::string& rest);
  void replace_voice(const std::vector<Turn>& turns);
  SpeechResult generate(const SpeechRequest& request, SoundOutput& sound);
  void list_turns() const;
  void report(const SpeechRequest& request, const SpeechStats& stats, const std::string& path) const;
  void saved() const;
  std::string next_file() const;
  SpeechRequest request_of(const std::string& text) const;

  Conversation conversation_;
  ChatOptions options_;
  Settings settings_;
  int speaker_;
};

}  // namespace csm::app
