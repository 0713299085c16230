#include "context_report.h"

#include <fmt/format.h>

namespace csm::app {

std::string to_text(const ContextReport& report) {
  std::string text = fmt::format("context: {} turns, strategy {}, window of {} positions\n", report.turns.size(),
                                 to_string(report.strategy), report.window);
  if (!report.turns.empty()) {
    text += fmt::format("{:>4} {:>7} {:<10} {:>7} {:>7} {:>5} {:>10} {:>10}  {}\n", "turn", "speaker", "kept", "tokens",
                        "frames", "kept", "positions", "KV memory", "why");
  }
  for (size_t i = 0; i < report.turns.size(); ++i) {
    const TurnReport& turn = report.turns[i];
    text += fmt::format("{:>4} {:>7} {:<10} {:>7} {:>7} {:>5} {:>10} {:>10}  {}\n", i + 1, turn.speaker,
                        to_string(turn.fate), turn.n_tokens, turn.n_frames, turn.n_kept_frames, turn.n_positions,
                        human_bytes(turn.kv_bytes), turn.reason);
  }
  const int n_free = report.window - report.n_used_positions();
  text += fmt::format("{} positions of context + {} of text = {}, {}; about {} frames of speech are expected, {} held free; "
                      "{} of keys and values in {} for a position",
                      report.n_context_positions, report.n_text_positions, report.n_used_positions(),
                      n_free < 0 ? fmt::format("{} too many", -n_free) : fmt::format("{} are left for speech", n_free),
                      report.n_expected_frames, report.n_reserved_frames, human_bytes(report.kv_bytes_per_position),
                      report.kv_type);
  return text;
}

Json to_json(const ContextReport& report) {
  Json turns = Json::array();
  for (const TurnReport& turn : report.turns) {
    turns.push_back({{"speaker", turn.speaker},
                     {"pinned", turn.pinned},
                     {"kept", to_string(turn.fate)},
                     {"tokens", turn.n_tokens},
                     {"frames", turn.n_frames},
                     {"kept_frames", turn.n_kept_frames},
                     {"positions", turn.n_positions},
                     {"kv_bytes", turn.kv_bytes},
                     {"score", turn.score},
                     {"reason", turn.reason}});
  }
  return {{"strategy", to_string(report.strategy)},
          {"window", report.window},
          {"text_positions", report.n_text_positions},
          {"context_positions", report.n_context_positions},
          {"reserved_frames", report.n_reserved_frames},
          {"expected_frames", report.n_expected_frames},
          {"kv_type", report.kv_type},
          {"kv_bytes_per_position", report.kv_bytes_per_position},
          {"turns", std::move(turns)}};
}

}  // namespace csm::app
