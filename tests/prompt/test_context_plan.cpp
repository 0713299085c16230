// Which turns are kept: budgets, strategies, pins, compression, and what the plan says of itself.
#include "prompt/context_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include <csm/error.h>

namespace csm {
namespace {

constexpr ContextStrategy kStrategies[] = {ContextStrategy::kRecency, ContextStrategy::kImportance, ContextStrategy::kHybrid};
constexpr TurnCompression kCompressions[] = {TurnCompression::kNone, TurnCompression::kHead, TurnCompression::kSpan,
                                             TurnCompression::kText};

ContextOptions options_of(ContextStrategy strategy, TurnCompression compression = TurnCompression::kNone) {
  ContextOptions options;
  options.strategy = strategy;
  options.compression = compression;
  return options;
}

PlanBudget budget_of(int n_positions, int next_speaker = 0) { return {n_positions, next_speaker, 10, 12.5}; }

// Ten turns of two speakers in turns, 10 tokens and 39 frames: 50 positions each.
std::vector<PlanTurn> ten_turns() {
  std::vector<PlanTurn> turns;
  for (int i = 0; i < 10; ++i) turns.push_back({i % 2, 10, 39, false});
  return turns;
}

std::string kept(const std::vector<PlannedTurn>& plan) {
  std::string text;
  for (const PlannedTurn& turn : plan) {
    text += turn.fate == TurnFate::kWhole ? 'W' : turn.fate == TurnFate::kCompressed ? 'c' : '.';
  }
  return text;
}

int total(const std::vector<PlannedTurn>& plan) {
  int n = 0;
  for (const PlannedTurn& turn : plan) n += turn.n_positions;
  return n;
}

TEST(ContextPlan, KeepsAllThatFits) {
  for (const ContextStrategy strategy : kStrategies) {
    for (const TurnCompression compression : kCompressions) {
      const auto plan = plan_context(ten_turns(), budget_of(500), options_of(strategy, compression));
      EXPECT_EQ(kept(plan), "WWWWWWWWWW") << to_string(strategy) << ", " << to_string(compression);
      EXPECT_EQ(total(plan), 500);
    }
  }
}

TEST(ContextPlan, EachStrategyKeepsItsOwn) {
  const auto plan_of = [](ContextStrategy strategy) {
    return kept(plan_context(ten_turns(), budget_of(210, 1), options_of(strategy)));
  };
  EXPECT_EQ(plan_of(ContextStrategy::kRecency), "......WWWW");
  const std::string importance = plan_of(ContextStrategy::kImportance);
  EXPECT_GE(std::count(importance.begin(), importance.end(), 'W'), 4);
  for (const size_t voice : {5, 7, 9}) EXPECT_EQ(importance[voice], 'W') << importance;
  const std::string hybrid = plan_of(ContextStrategy::kHybrid);
  EXPECT_EQ(hybrid[9], 'W');
  EXPECT_EQ(hybrid[7], 'W');
  EXPECT_EQ(hybrid[8], 'W') << "what is answered";
  EXPECT_EQ(hybrid.substr(0, 4), "....");
  EXPECT_EQ(kept(plan_context(ten_turns(), budget_of(210), options_of(ContextStrategy::kNone))), "WWWWWWWWWW");
}

TEST(ContextPlan, RecencyLeavesNoGap) {
  std::vector<PlanTurn> turns = ten_turns();
  turns[7].n_frames = 300;
  const auto plan = plan_context(turns, budget_of(210), options_of(ContextStrategy::kRecency));
  EXPECT_EQ(kept(plan), "........WW");
  EXPECT_NE(plan[7].reason.find("needs 311 positions"), std::string::npos) << plan[7].reason;
  EXPECT_EQ(plan[0].reason, "older than one that did not fit");
}

TEST(ContextPlan, ImportancePrefersLongTurnsAndNewSpeakers) {
  std::vector<PlanTurn> turns = {{0, 5, 10, false}, {0, 5, 90, false}, {1, 5, 10, false}, {0, 5, 10, false}};
  const auto plan = plan_context(turns, budget_of(115), options_of(ContextStrategy::kImportance));
  EXPECT_EQ(plan[1].fate, TurnFate::kWhole) << "the longest of the speaker's";
  EXPECT_EQ(plan[2].fate, TurnFate::kDropped);
  const auto more = plan_context(turns, budget_of(132), options_of(ContextStrategy::kImportance));
  EXPECT_GT(more[1].score, more[3].score);
  EXPECT_EQ(more[1].fate, TurnFate::kWhole);
}

TEST(ContextPlan, PinnedTurnsComeFirst) {
  for (const ContextStrategy strategy : kStrategies) {
    std::vector<PlanTurn> turns = ten_turns();
    turns[0].pinned = turns[3].pinned = true;
    const auto plan = plan_context(turns, budget_of(160), options_of(strategy));
    EXPECT_EQ(plan[0].fate, TurnFate::kWhole) << to_string(strategy);
    EXPECT_EQ(plan[3].fate, TurnFate::kWhole);
    EXPECT_EQ(plan[3].reason, "pinned");
    EXPECT_EQ(total(plan), 150);
    try {
      (void)plan_context(turns, budget_of(99), options_of(strategy));
      ADD_FAILURE() << "two pinned turns do not fit 99 positions";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResourceLimit);
      EXPECT_NE(std::string(error.what()).find("pinned turns take 100 positions and the window leaves 99"), std::string::npos);
    }
  }
}

TEST(ContextPlan, CompressionKeepsTheTextOfWhatGoes) {
  const auto head = plan_context(ten_turns(), budget_of(300), options_of(ContextStrategy::kRecency, TurnCompression::kHead));
  EXPECT_EQ(head[9].fate, TurnFate::kWhole);
  EXPECT_EQ(head[0].fate, TurnFate::kCompressed);
  EXPECT_EQ(head[0].n_frames, 10);
  EXPECT_EQ(head[0].n_positions, 21);
  EXPECT_EQ(kept(head).find('.'), std::string::npos) << kept(head);
  const auto text = plan_context(ten_turns(), budget_of(300), options_of(ContextStrategy::kHybrid, TurnCompression::kText));
  for (const PlannedTurn& turn : text) {
    EXPECT_NE(turn.fate, TurnFate::kDropped);
    if (turn.fate == TurnFate::kCompressed) EXPECT_EQ(turn.n_positions, 10);
  }
  // What is not longer than the rest would be is not called compressed.
  const std::vector<PlanTurn> brief = {{0, 10, 8, false}, {1, 10, 100, false}};
  const auto plan = plan_context(brief, budget_of(112), options_of(ContextStrategy::kRecency, TurnCompression::kHead));
  EXPECT_EQ(kept(plan), ".W");
}

TEST(ContextPlan, AnyTurnsAnyBudgetStayWithinIt) {
  std::mt19937 random(7);
  const auto draw = [&](unsigned n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 400; ++round) {
    std::vector<PlanTurn> turns;
    for (int i = draw(15); i > 0; --i) turns.push_back({draw(3), 3 + draw(40), draw(4) == 0 ? 0 : draw(200), draw(8) == 0});
    const PlanBudget budget{draw(900), draw(3), 1 + draw(30), 12.5};
    const ContextOptions options = options_of(kStrategies[draw(3)], kCompressions[draw(4)]);
    std::vector<PlannedTurn> plan;
    try {
      plan = plan_context(turns, budget, options);
    } catch (const Error&) {
      continue;
    }
    ASSERT_EQ(plan.size(), turns.size());
    EXPECT_LE(total(plan), budget.n_positions);
    for (size_t i = 0; i < plan.size(); ++i) {
      const PlannedTurn& turn = plan[i];
      EXPECT_FALSE(turn.reason.empty());
      if (turns[i].pinned) EXPECT_EQ(turn.fate, TurnFate::kWhole);
      if (turn.fate == TurnFate::kWhole) EXPECT_EQ(turn.n_frames, turns[i].n_frames) << "a turn was cut";
      if (turn.fate == TurnFate::kDropped) EXPECT_EQ(turn.n_positions, 0);
      if (turn.fate == TurnFate::kCompressed) {
        EXPECT_NE(options.compression, TurnCompression::kNone);
        EXPECT_LT(turn.n_frames, turns[i].n_frames);
      }
      if (turn.fate != TurnFate::kDropped) EXPECT_EQ(turn.n_positions, n_positions_of(turns[i].n_tokens, turn.n_frames));
    }
  }
}

TEST(ContextPlan, FindsTheSpanInWhichMostHappens) {
  EXPECT_EQ(most_varied_span({1, 1, 1, 2, 3, 4, 4, 4}, 3), 2);
  EXPECT_EQ(most_varied_span({1, 1, 1, 1}, 2), 0);
  EXPECT_EQ(most_varied_span({1, 2}, 5), 0);
  EXPECT_EQ(most_varied_span({}, 2), 0);
}

TEST(ContextPlan, NamesAndLimits) {
  for (const char* name : {"none", "recency", "importance", "hybrid"}) {
    EXPECT_STREQ(to_string(parse_context_strategy(name)), name);
  }
  for (const char* name : {"none", "head", "span", "text"}) EXPECT_STREQ(to_string(parse_turn_compression(name)), name);
  EXPECT_THROW((void)parse_context_strategy("newest"), Error);
  EXPECT_THROW((void)parse_turn_compression(""), Error);
  ContextOptions options;
  EXPECT_NO_THROW(options.validate());
  options.compressed_seconds = 0;
  EXPECT_THROW(options.validate(), Error);
  options.compressed_seconds = 1;
  options.max_positions = 0;
  EXPECT_THROW(options.validate(), Error);
  options = options_of(ContextStrategy::kNone, TurnCompression::kHead);
  EXPECT_THROW(options.validate(), Error) << "compression without a strategy does nothing";
}

}  // namespace
}  // namespace csm
