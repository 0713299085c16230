// What becomes of a conversation that does not fit the model's window: which turns are kept, whole or shortened, and an account
// of the room they take. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace csm {

// Turns are kept whole or left out; none is ever cut in the middle. Pinned turns come first with every strategy.
enum class ContextStrategy {
  kNone,        // all of them, or an error that says how much too long they are
  kRecency,     // the newest, without a gap
  kImportance,  // those that say most of the voice: of the speaker who is next, long ones, one of each speaker
  kHybrid,      // both: the answer needs the latest turns, the voice needs those of its speaker
};

// What is kept of turns that would have to go. All of them keep their text.
enum class TurnCompression {
  kNone,
  kHead,  // the first compressed_seconds of sound
  kSpan,  // the compressed_seconds of sound in which most happens: least silence, fewest held sounds
  kText,  // no sound
};

struct ContextOptions {
  ContextStrategy strategy = ContextStrategy::kNone;
  TurnCompression compression = TurnCompression::kNone;
  double compressed_seconds = 2;
  std::optional<int> max_positions;  // a smaller window than the model's, for text, sound and the speech to come

  // Throws kInvalidArgument with the field's name, its range and what it got.
  void validate() const;
};

enum class TurnFate { kWhole, kCompressed, kDropped };

struct TurnReport {
  int speaker = 0;
  bool pinned = false;
  TurnFate fate = TurnFate::kWhole;
  int n_tokens = 0;        // of its text, markers included
  int n_frames = 0;        // of its sound
  int n_kept_frames = 0;
  int n_positions = 0;     // that it takes in the prompt
  uint64_t kv_bytes = 0;   // for these
  double score = 0;        // by which it was chosen; 0 where the strategy has none
  std::string reason;      // one clause
};

struct ContextReport {
  ContextStrategy strategy = ContextStrategy::kNone;
  std::vector<TurnReport> turns;
  int window = 0;                // positions there are
  int n_text_positions = 0;      // of the text to speak
  int n_context_positions = 0;   // of the turns that are kept
  int n_reserved_frames = 0;     // held free for the speech to come, by its text
  int n_expected_frames = 0;    // how long it will probably be
  std::string kv_type;
  uint64_t kv_bytes_per_position = 0;

  int n_used_positions() const { return n_text_positions + n_context_positions; }
};

const char* to_string(ContextStrategy strategy);
const char* to_string(TurnCompression compression);
const char* to_string(TurnFate fate);
// Errors: kInvalidArgument, listing the names.
ContextStrategy parse_context_strategy(const std::string& name);
TurnCompression parse_turn_compression(const std::string& name);

}  // namespace csm
