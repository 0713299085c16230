// Where the sound of a command goes: a file, standard output, the loudspeaker, or several of them, as it is made.
//
// Place in the flow: samples from the engine -> AudioWriter and Player. Main thread. Memory stays constant however long
// the sound is.
#pragma once

#include <csm/audio.h>
#include <csm/error.h>
#include <csm/playback.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/settings.h"
#include "output.h"

namespace csm::app {

// What of the output belongs to one call.
struct SoundFlags {
  std::string output;             // a path, "-" for standard output, "" for none
  std::vector<std::string> tags;  // KEY=VALUE
  bool play = false;

  bool to_stdout() const { return output == "-"; }
};

void add_tag_flag(CLI::App& app, SoundFlags& flags);
void add_play_flag(CLI::App& app, SoundFlags& flags);

class SoundOutput {
 public:
  // Checks all that can be known before the work. Errors: UsageError, csm::Error as AudioWriter and Player. Where a
  // file is written as well, a missing sound card is an error only at the end.
  SoundOutput(const SoundFlags& flags, const OutputSettings& settings, int sample_rate_hz);
  ~SoundOutput();
  SoundOutput(const SoundOutput&) = delete;
  SoundOutput& operator=(const SoundOutput&) = delete;

  // The file is created with the first samples: hold signals from there on (interrupt.h). Errors: kIo, kCancelled.
  void add(std::span<const float> samples);
  // Writes the rest, then waits until all has been heard. Errors: as add; kInvalidData when there was nothing.
  void finish();
  // Throws what went wrong with playing, once everything else is done.
  void check_playback() const;

  double seconds() const { return static_cast<double>(n_samples_) / sample_rate_hz_; }
  const std::optional<AudioSummary>& summary() const { return summary_; }

 private:
  class StandardOutput;

  void open_writer();
  void play(std::span<const float> samples);
  void wait_until_heard();

  SoundFlags flags_;
  AudioOutputOptions options_;
  int sample_rate_hz_;
  size_t n_samples_ = 0;
  std::unique_ptr<StandardOutput> stdout_;
  std::unique_ptr<AudioWriter> writer_;
  std::unique_ptr<Player> player_;
  std::optional<Error> playback_error_;
  std::optional<AudioSummary> summary_;
};

// Format, rate, loudness and pauses of playing, for --json.
void add_summary(Json& document, const SoundOutput& sound);

}  // namespace csm::app
