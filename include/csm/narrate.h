// Reading long texts and scripts aloud: piece by piece, each with the pieces before it as context.
//
// A piece is short enough for the model's window (csm/text.h), so a text of any length is read in constant memory. The voice comes from
// `anchor`, which every piece gets, and from the last pieces that were said; levels follow the first piece of each speaker.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <csm/engine.h>
#include <csm/text.h>

namespace csm {

// One text of one speaker.
struct NarrationPart {
  std::string text;
  int speaker = 0;
  std::vector<Turn> anchor;  // the speaker's voice, if any
};

enum class Normalization { kEnglish, kOff };

struct NarrationOptions {
  ChunkOptions chunks;
  Normalization normalization = Normalization::kEnglish;
  int context_chunks = 1;  // 0 to 8: pieces said before that go into the context
  double max_gain = 2;     // 1 to 10: how far the level of a piece is moved towards that of its speaker's first one; 1 = not at all

  void validate() const;
};

struct NarrationProgress {
  int chunk = 0;  // from 1; the one that is being said
  int n_chunks = 0;
  double audio_seconds = 0;  // so far, with pauses
};

struct NarrationResult {
  int n_chunks = 0;           // that were said
  int n_ended = 0;            // of these, how many ended by themselves
  double audio_seconds = 0;   // with pauses
  double speech_seconds = 0;  // without
  double total_ms = 0;
  bool is_whole = true;       // false: on_progress stopped it
};

// request: sampling, guard, length and seed of each piece (its text, speaker and context are not used). on_samples takes the sound
// in order, pauses included. on_progress comes once a frame; false stops within one frame, and what was said until then still goes to
// on_samples. Both are called on this thread or the inference thread, never at once. Errors: kInvalidArgument when nothing is to be
// said, those of split_text and Engine::synthesize, what on_samples throws.
NarrationResult narrate(Engine& engine, const SpeechRequest& request, const std::vector<NarrationPart>& parts,
                        const NarrationOptions& options, const std::function<void(std::span<const float>)>& on_samples,
                        const std::function<bool(const NarrationProgress&)>& on_progress);

}  // namespace csm
