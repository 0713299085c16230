// Which turns of a conversation become context when not all of them fit, and in which form. Pure: counts in, a plan out; no model,
// no text, no sound.
//
// Place in the flow: turns + counts -> (here) -> the turns that the prompt is built from. Any thread.
#pragma once

#include <string>
#include <vector>

#include <csm/context.h>

namespace csm {

struct PlanTurn {
  int speaker = 0;
  int n_tokens = 0;  // positions of its text
  int n_frames = 0;  // of its sound, which take one position more when there are any; 0 = text alone
  bool pinned = false;
};

struct PlanBudget {
  int n_positions = 0;          // for all turns together
  int next_speaker = 0;
  int n_compressed_frames = 0;  // of a turn that is compressed
  double frame_rate_hz = 0;
};

struct PlannedTurn {
  TurnFate fate = TurnFate::kDropped;
  int n_frames = 0;     // kept of its sound
  int n_positions = 0;  // it takes
  double score = 0;
  std::string reason;
};

int n_positions_of(int n_tokens, int n_frames);

// One entry for each turn, in their order. With kNone all are whole, whether they fit or not: the caller checks the window.
// Errors: kResourceLimit when the pinned turns alone do not fit.
std::vector<PlannedTurn> plan_context(const std::vector<PlanTurn>& turns, const PlanBudget& budget,
                                      const ContextOptions& options);

// Where the n rows of `codes` [n_frames] (one codebook) begin in which most different codes occur; the first of equals.
int most_varied_span(const std::vector<int32_t>& codes, int n);

}  // namespace csm
