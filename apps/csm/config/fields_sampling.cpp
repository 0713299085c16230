// Settings of SamplingOptions: each twice, for the model as a whole and for the depth decoder alone.
#include "config/fields.h"
#include "sampling_text.h"

namespace csm::app {
namespace {

using Part = SamplingSettings::Part;

// A half of the table: [sampling] or [depth].
struct Half {
  std::string section;
  std::string prefix;  // of names
  Part SamplingSettings::*part;
};

template <typename T>
Field field_of(const Half& half, const char* name, T Part::*member, Range range, const char* type, const char* help,
               const std::vector<std::string>& aliases) {
  Field field = {.section = half.section,
                 .name = half.prefix + name,
                 .binding = bind([part = half.part, member](Settings& s) -> auto& { return s.sampling.*part.*member; }),
                 .range = range,
                 .type = type,
                 .help = help,
                 .commands = kSpeakers};
  for (const std::string& alias : aliases) field.aliases.push_back({.flag = "--" + half.prefix + alias});
  return field;
}

// The library's own check of options that came of a text.
template <typename Parse, typename Member>
std::function<void(const std::string&)> checked_sampling(Parse parse, Member member) {
  return [parse, member](const std::string& value) {
    SamplingOptions options;
    options.*member = parse(value);
    options.validate("sampling");
  };
}

void add_by_codebook(std::vector<Field>& table, const Half& half) {
  Field field = field_of(half, "temperature-schedule", &Part::temperature_schedule, {}, "LIST",
                         "Temperature by codebook, linear between: 0:0.9,7:0.4", {});
  field.check = checked_sampling(parse_schedule, &SamplingOptions::temperature_schedule);
  field.suggestions = {"0:0.9,7:0.4"};
  table.push_back(field);
  field = field_of(half, "top-k-schedule", &Part::top_k_schedule, {}, "LIST", "Top-k by codebook: 0:50,7:10", {});
  field.check = checked_sampling(parse_schedule, &SamplingOptions::top_k_schedule);
  field.suggestions = {"0:50,7:10"};
  table.push_back(field);
  field = field_of(half, "logit-bias", &Part::logit_bias, {}, "LIST",
                   "Added to logits: ID:VALUE, CODEBOOK@ID:VALUE for one codebook; -inf forbids", {});
  field.check = checked_sampling(parse_logit_bias, &SamplingOptions::logit_bias);
  field.suggestions = {"0@40:2.5"};
  table.push_back(field);
}

void add_half(std::vector<Field>& table, const Half& half) {
  const auto add = [&](const char* name, auto member, Range range, const char* type, const char* help,
                       const std::vector<std::string>& aliases) {
    table.push_back(field_of(half, name, member, range, type, help, aliases));
  };
  const Range penalty = from(-1000).to(1000);
  add("temperature", &Part::temperature, from(0).to(100), "X", "Spread of the draw, 0 or more; 0 = greedy", {"temp"});
  add("top-k", &Part::top_k, from(0), "N", "Only the N most probable codes; 0 = all", {"topk"});
  add("top-p", &Part::top_p, from(0.0001).to(1), "P", "Only the most probable codes that sum to P; 1 = all", {"topp"});
  add("min-p", &Part::min_p, from(0).below(1), "P", "Only codes at least P times as probable as the best; 0 = all",
      {"minp"});
  add("repetition-penalty", &Part::repetition_penalty, from(0.001).to(1000), "X",
      "Divides the logits of used codes; 1 = off", {"rep-penalty", "repeat-penalty"});
  add("frequency-penalty", &Part::frequency_penalty, penalty, "X", "Subtracted for each earlier use; 0 = off", {});
  add("presence-penalty", &Part::presence_penalty, penalty, "X", "Subtracted once from used codes; 0 = off", {});
  add("penalty-window", &Part::penalty_window, from(0), "FRAMES", "How far back penalties look; 0 = to the start",
      {"repeat-last-n"});
  add_by_codebook(table, half);
}

}  // namespace

void add_sampling_fields(std::vector<Field>& table) {
  add_half(table, {"sampling", "", &SamplingSettings::both});
  table.push_back({.section = "sampling",
                   .name = "greedy",
                   .binding = bind([](Settings& s) -> auto& { return s.sampling.greedy; }),
                   .help = "Always the most probable code: same as temperature 0",
                   .instead_of = {"temperature", "depth-temperature", "temperature-schedule", "depth-temperature-schedule"},
                   .commands = kSpeakers});
  add_half(table, {"depth", "depth-", &SamplingSettings::depth});
}

}  // namespace csm::app
