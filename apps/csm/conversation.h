// The conversation so far, from the repeatable context flags or from a JSON file.
//
// Place in the flow: command line -> turns -> SpeechRequest::context. Audio is read here; the engine resamples and
// encodes it.
#pragma once

#include <csm/speech.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace csm::app {

struct ContextFlags {
  std::vector<std::string> texts;
  std::vector<std::string> audio;
  std::vector<int> speakers;
  std::string file;

  bool any() const { return !texts.empty() || !audio.empty() || !speakers.empty() || !file.empty(); }
};

void add_context_flags(CLI::App& app, ContextFlags& flags);
// --conversation and --save-conversation.
void add_conversation_flags(CLI::App& app, std::string& load, std::string& save);

// The turns in order. Errors: UsageError when the flags do not match up; kNotFound, kInvalidData, kIo for files: JSON
// errors carry line and column, wrong fields the number of their turn.
std::vector<Turn> read_context(const ContextFlags& flags);

// `[{"speaker": 0, "text": "...", "audio": "a.wav"}, ...]`; "codes" names a tensor file instead of audio. Paths are
// relative to the file.
std::vector<Turn> read_conversation(const std::string& path);

}  // namespace csm::app
