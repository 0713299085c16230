// Settings of GuardOptions and TrimOptions: speech that runs away, and the silence around it.
#include "config/fields.h"

namespace csm::app {

void add_guard_fields(std::vector<Field>& table) {
  const auto add = [&](const char* name, Binding binding, Range range, const char* type, const char* help,
                       const char* unset) {
    table.push_back({.section = "guard",
                     .name = name,
                     .binding = std::move(binding),
                     .range = range,
                     .type = type,
                     .help = help,
                     .unset = unset,
                     .commands = kSpeakers});
  };
  table.push_back(
      {.section = "guard",
       .name = "guard-policy",
       .flag = "--guard",
       .binding = bind([](Settings & s) -> auto& { return s.speech.guard_policy; }),
       .choices = {"off", "stop", "retry", "fail"},
       .type = "POLICY",
       .help = "When speech runs on, loops or falls silent: off, stop, retry, fail; a stream stops for retry",
       .commands = kSpeakers});
  add("guard-retries", bind([](Settings & s) -> auto& { return s.speech.guard.max_retries; }), from(0).to(100), "N",
      "Attempts after the first", "");
  add("guard-factor", bind([](Settings & s) -> auto& { return s.speech.guard.length_factor; }), from(1).to(100), "X",
      "Speech may take X times what its text should", "");
  add("guard-slack", bind([](Settings & s) -> auto& { return s.speech.guard.slack_seconds; }), from(0).to(1000), "S",
      "and S seconds more", "");
  add("guard-silence", bind([](Settings & s) -> auto& { return s.speech.guard.max_silence_seconds; }),
      from(0.5).to(1000), "S", "Longest silence within speech", "");
  add("letters-per-second", bind([](Settings & s) -> auto& { return s.speech.guard.letters_per_second; }),
      from(0).to(100), "X", "How fast the voice speaks; 0 = learned from its turns", "");
  add("trim-lead", bind([](Settings & s) -> auto& { return s.speech.trim.lead_seconds; }), from(0).to(60), "S",
      "Cut silence before the speech to S seconds", "left as it is");
  add("trim-trail", bind([](Settings & s) -> auto& { return s.speech.trim.trail_seconds; }), from(0).to(60), "S",
      "Cut silence after the speech to S seconds", "left as it is");
}

}  // namespace csm::app
