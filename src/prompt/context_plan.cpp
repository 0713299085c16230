#include "prompt/context_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/fail.h"

namespace csm {
namespace {

// What a turn is worth. Each part is in 0..1 and each set of weights sums to 1.
struct Weights {
  double speaker_match;  // it is of the speaker who is next: the voice
  double recency;        // what is being answered
  double length;         // more sound says more of a voice, up to kFullSeconds
  double coverage;       // the first turn of a speaker says more than the fifth
};
constexpr Weights kImportance{0.5, 0, 0.25, 0.25};
constexpr Weights kHybrid{0.3, 0.35, 0.1, 0.25};
constexpr double kFullSeconds = 6;
constexpr double kHalfLifeTurns = 3;  // a turn this much older is worth half as much for being recent

class Planner {
 public:
  Planner(const std::vector<PlanTurn>& turns, const PlanBudget& budget, const ContextOptions& options)
      : turns_(turns), budget_(budget), options_(options), plan_(turns.size()), left_(budget.n_positions) {}

  std::vector<PlannedTurn> run() {
    keep_pinned();
    const std::vector<size_t> order =
        options_.strategy == ContextStrategy::kRecency ? newest_first() : best_first();
    if (options_.compression != TurnCompression::kNone) {
      keep_leaders(order);
      for (const size_t i : order) compress(i);
    }
    for (const size_t i : order) {
      if (keep_whole(i, reason_of(i))) continue;
      const bool leaves_gap = options_.strategy == ContextStrategy::kRecency && plan_[i].fate != TurnFate::kWhole;
      if (leaves_gap) break;
    }
    explain_the_rest();
    return std::move(plan_);
  }

 private:
  int whole(size_t i) const { return n_positions_of(turns_[i].n_tokens, turns_[i].n_frames); }

  void keep_pinned() {
    int n_pinned = 0;
    for (size_t i = 0; i < turns_.size(); ++i) {
      if (turns_[i].pinned) n_pinned += whole(i);
    }
    if (n_pinned > left_) {
      fail(ErrorCode::kResourceLimit,
           "the pinned turns take {} positions and the window leaves {} beside the text and its speech; pin fewer or "
           "shorter ones",
           n_pinned, std::max(0, left_));
    }
    for (size_t i = 0; i < turns_.size(); ++i) {
      if (turns_[i].pinned) keep_whole(i, "pinned");
    }
  }

  std::vector<size_t> newest_first() const {
    std::vector<size_t> order;
    for (size_t i = turns_.size(); i-- > 0;) {
      if (!turns_[i].pinned) order.push_back(i);
    }
    return order;
  }

  // By falling score; of equals the newer one. A speaker's second turn covers less, so each choice changes the scores of the rest.
  std::vector<size_t> best_first() {
    std::map<int, int> n_of_speaker;
    for (const PlanTurn& turn : turns_) n_of_speaker[turn.speaker] += turn.pinned ? 1 : 0;
    std::vector<size_t> rest = newest_first();
    std::vector<size_t> order;
    while (!rest.empty()) {
      auto best = rest.begin();
      for (auto it = rest.begin(); it != rest.end(); ++it) {
        plan_[*it].score = score(*it, n_of_speaker[turns_[*it].speaker]);
        if (plan_[*it].score > plan_[*best].score) best = it;
      }
      ++n_of_speaker[turns_[*best].speaker];
      order.push_back(*best);
      rest.erase(best);
    }
    return order;
  }

  double score(size_t i, int n_of_speaker) const {
    const Weights& weights = options_.strategy == ContextStrategy::kImportance ? kImportance : kHybrid;
    const PlanTurn& turn = turns_[i];
    const double age = static_cast<double>(turns_.size() - 1 - i);
    const double seconds = budget_.frame_rate_hz > 0 ? turn.n_frames / budget_.frame_rate_hz : 0;
    return weights.speaker_match * (turn.speaker == budget_.next_speaker ? 1 : 0) +
           weights.recency * std::exp2(-age / kHalfLifeTurns) + weights.length * std::min(1.0, seconds / kFullSeconds) +
           weights.coverage / (1 + n_of_speaker);
  }

  // The best turn and the best one of the next speaker stay whole, before the rest shares what is left.
  void keep_leaders(const std::vector<size_t>& order) {
    const auto voice = std::find_if(order.begin(), order.end(), [&](size_t i) {
      return turns_[i].speaker == budget_.next_speaker && turns_[i].n_frames > 0;
    });
    if (!order.empty()) keep_whole(order.front(), reason_of(order.front()));
    if (voice != order.end()) keep_whole(*voice, reason_of(*voice));
  }

  // True when the turn is whole now.
  bool keep_whole(size_t i, const std::string& reason) {
    PlannedTurn& planned = plan_[i];
    if (planned.fate == TurnFate::kWhole && planned.n_positions > 0) return true;
    const int more = whole(i) - planned.n_positions;
    if (more > left_) return false;
    left_ -= more;
    planned.fate = TurnFate::kWhole;
    planned.n_frames = turns_[i].n_frames;
    planned.n_positions = whole(i);
    planned.reason = reason;
    return true;
  }

  void compress(size_t i) {
    PlannedTurn& planned = plan_[i];
    if (planned.fate == TurnFate::kWhole) return;
    const bool is_text = options_.compression == TurnCompression::kText;
    const int n_frames = is_text ? 0 : std::min(turns_[i].n_frames, budget_.n_compressed_frames);
    const int n_positions = n_positions_of(turns_[i].n_tokens, n_frames);
    if (n_frames == turns_[i].n_frames || n_positions > left_) return;
    left_ -= n_positions;
    planned.fate = TurnFate::kCompressed;
    planned.n_frames = n_frames;
    planned.n_positions = n_positions;
    planned.reason = is_text ? std::string("no room for its sound")
                             : fmt::format("room for {} of {} frames", n_frames, turns_[i].n_frames);
  }

  std::string reason_of(size_t i) const {
    return options_.strategy == ContextStrategy::kRecency ? std::string("recent")
                                                          : fmt::format("score {:.2f}", plan_[i].score);
  }

  void explain_the_rest() {
    for (size_t i = 0; i < plan_.size(); ++i) {
      if (plan_[i].fate != TurnFate::kDropped) continue;
      plan_[i].reason = whole(i) > left_ ? fmt::format("needs {} positions, {} are left", whole(i), left_)
                                         : std::string("older than one that did not fit");
    }
  }

  const std::vector<PlanTurn>& turns_;
  const PlanBudget& budget_;
  const ContextOptions& options_;
  std::vector<PlannedTurn> plan_;
  int left_;
};

template <typename Enum>
struct Name {
  const char* name;
  Enum value;
};
constexpr Name<ContextStrategy> kStrategies[] = {{"none", ContextStrategy::kNone},
                                                 {"recency", ContextStrategy::kRecency},
                                                 {"importance", ContextStrategy::kImportance},
                                                 {"hybrid", ContextStrategy::kHybrid}};
constexpr Name<TurnCompression> kCompressions[] = {{"none", TurnCompression::kNone},
                                                   {"head", TurnCompression::kHead},
                                                   {"span", TurnCompression::kSpan},
                                                   {"text", TurnCompression::kText}};

template <typename Enum, size_t n>
const char* name_of(const Name<Enum> (&names)[n], Enum value) {
  for (const auto& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "unknown";
}

template <typename Enum, size_t n>
Enum value_of(const Name<Enum> (&names)[n], const char* what, const std::string& text) {
  std::string known;
  for (const auto& entry : names) {
    if (text == entry.name) return entry.value;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  fail(ErrorCode::kInvalidArgument, "{} is '{}'; expected one of {}", what, text, known);
}

}  // namespace

int n_positions_of(int n_tokens, int n_frames) { return n_tokens + (n_frames > 0 ? n_frames + 1 : 0); }

std::vector<PlannedTurn> plan_context(const std::vector<PlanTurn>& turns, const PlanBudget& budget,
                                      const ContextOptions& options) {
  if (options.strategy != ContextStrategy::kNone) return Planner(turns, budget, options).run();
  std::vector<PlannedTurn> plan;
  for (const PlanTurn& turn : turns) {
    plan.push_back({TurnFate::kWhole, turn.n_frames, n_positions_of(turn.n_tokens, turn.n_frames), 0, "all are kept"});
  }
  return plan;
}

int most_varied_span(const std::vector<int32_t>& codes, int n) {
  std::map<int32_t, int> counts;
  int best = 0;
  size_t best_variety = 0;
  for (int end = 0; end < static_cast<int>(codes.size()); ++end) {
    ++counts[codes[static_cast<size_t>(end)]];
    if (end >= n) {
      const auto gone = counts.find(codes[static_cast<size_t>(end - n)]);
      if (--gone->second == 0) counts.erase(gone);
    }
    if (end >= n - 1 && counts.size() > best_variety) {
      best_variety = counts.size();
      best = end - n + 1;
    }
  }
  return best;
}

void ContextOptions::validate() const {
  if (!(compressed_seconds > 0 && compressed_seconds <= 3600)) {
    fail(ErrorCode::kInvalidArgument, "context-compress-seconds is {}; expected more than 0, at most 3600", compressed_seconds);
  }
  if (max_positions && *max_positions < 1) {
    fail(ErrorCode::kInvalidArgument, "context-window is {}; expected at least 1 position", *max_positions);
  }
  if (strategy == ContextStrategy::kNone && compression != TurnCompression::kNone) {
    fail(ErrorCode::kInvalidArgument,
         "context-compress is {} but context-strategy is none, which keeps every turn whole; choose recency, importance "
         "or hybrid",
         to_string(compression));
  }
}

const char* to_string(ContextStrategy strategy) { return name_of(kStrategies, strategy); }
const char* to_string(TurnCompression compression) { return name_of(kCompressions, compression); }

const char* to_string(TurnFate fate) {
  switch (fate) {
    case TurnFate::kWhole: return "whole";
    case TurnFate::kCompressed: return "compressed";
    case TurnFate::kDropped: return "dropped";
  }
  return "unknown";
}

ContextStrategy parse_context_strategy(const std::string& name) {
  return value_of(kStrategies, "context-strategy", name);
}
TurnCompression parse_turn_compression(const std::string& name) {
  return value_of(kCompressions, "context-compress", name);
}

}  // namespace csm
