// The table of fields: each has a place in every source, does something, and takes no value that the library refuses.
#include <csm/error.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>

#include "config/configuration.h"
#include "config/fields.h"
#include "flags.h"
#include "request.h"

namespace csm::app {
namespace {

// Values of any kind; the first that a field takes and that is not its default serves as a sample.
std::vector<std::string> samples(const Field& field) {
  std::vector<std::string> values = field.choices;
  values.insert(values.end(), field.suggestions.begin(), field.suggestions.end());
  for (const char* value : {"true", "false", "3", "2", "0.5", "0.25", "somewhere"}) values.emplace_back(value);
  return values;
}

bool takes(const Field& field, const std::string& value) {
  try {
    checked_value(field, value, "here");
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

std::string sample(const Field& field) {
  for (const std::string& value : samples(field)) {
    if (takes(field, value) && value != field.binding.get(Settings())) return value;
  }
  ADD_FAILURE() << field.name << ": no value to try";
  return "";
}

std::string refusal(const Field& field, const std::string& value) {
  try {
    checked_value(field, value, "WHERE");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string text_of(const std::optional<SamplingOptions>& sampling) {
  const SamplingOptions& s = sampling.value();
  std::string text = fmt::format("{} {} {} {} {} {} {} {}", s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty,
                                 s.frequency_penalty, s.presence_penalty, s.penalty_window);
  for (const LogitBias& bias : s.logit_bias) text += fmt::format(" {}@{}:{}", bias.codebook, bias.id, bias.value);
  for (const Schedule& schedule : {s.temperature_schedule, s.top_k_schedule}) {
    text += " schedule";
    for (const SchedulePoint& point : schedule) text += fmt::format(" {}:{}", point.codebook, point.value);
  }
  return text;
}

// All that the commands make of the settings, written out member by member: a member that is missing here fails the test
// of its field.
std::string consequences(const Settings& settings, const Engine& engine) {
  SpeechRequest request;
  apply_settings(settings, engine, request);
  if (!settings.speech.seed) request.seed = 0;
  const EngineOptions e = engine_options(settings);
  std::string text = fmt::format("engine {} {} {} {} {} {} {} {} {} {}\n", e.model, e.backend, e.device, e.n_threads, e.dtype,
                                 e.quantize, e.codec_dtype, e.kv_type, e.prefix_cache_sequences, e.memory_limit_bytes);
  text += fmt::format("mlx {} {} {} {} {} {}\n", e.weight_cache, e.weight_cache_limit, e.mlx_cache_limit,
                      e.mlx_memory_limit, e.mlx_wired_limit, e.mlx_clear_cache);
  text += fmt::format("request {} {} {} {} {}\n", request.speaker, request.seed, request.max_seconds.value_or(0),
                      request.min_frames, request.deadline_seconds.value_or(0));
  ContextSettings with_strategy = settings.context;  // without one nothing may be compressed
  if (!with_strategy.strategy) with_strategy.strategy = "recency";
  const ContextOptions context = with_strategy.options(ContextStrategy::kNone);
  text += fmt::format("context {} {} {} {}\n", to_string(context.strategy), to_string(context.compression),
                      context.compressed_seconds, context.max_positions.value_or(0));
  const GuardOptions& g = request.guard;
  text += fmt::format("guard {} {} {} {} {} {} trim {} {} voice {} {}\n", to_string(g.policy), g.max_retries,
                      g.letters_per_second, g.length_factor, g.slack_seconds, g.max_silence_seconds,
                      request.trim.lead_seconds.value_or(-1), request.trim.trail_seconds.value_or(-1),
                      settings.speech.voice, request.stop_bias);
  text += "backbone " + text_of(request.backbone_sampling) + "\ndepth " + text_of(request.depth_sampling) + "\n";
  const WatermarkOptions& w = request.watermark;
  text += fmt::format("watermark {} {} {:X} {}\n", w.enabled, to_string(w.preset), w.payload, settings.watermark.key_file);
  text += fmt::format("silentcipher {} {} {}\n", settings.watermark.kind, settings.watermark.silentcipher_weights,
                      settings.watermark.silentcipher_message);
  const AudioOutputOptions a = settings.output.audio({});
  text += fmt::format("audio {} {} {} {} {} {} {} {} {}\n", a.format, a.sample_rate_hz, a.fade_in_seconds, a.fade_out_seconds,
                      a.loudness_lufs.value_or(1), a.peak_db.value_or(1), a.true_peak_db.value_or(1),
                      static_cast<int>(a.samples), static_cast<int>(a.dither));
  return text + fmt::format("quiet {}\n", settings.output.quiet);
}

std::shared_ptr<Engine> nano() {
  EngineOptions options;
  options.model = CSM_TEST_DATA "/ckpt/nano";
  options.n_threads = 1;
  return Engine::open(options);
}

TEST(Fields, EachHasItsOwnNameEverywhere) {
  std::set<std::string> names, keys, variables;
  for (const Field& field : fields()) {
    SCOPED_TRACE(field.name);
    EXPECT_TRUE(names.insert(field.name).second);
    EXPECT_TRUE(keys.insert(field.key()).second);
    EXPECT_TRUE(variables.insert(field.variable()).second);
    EXPECT_EQ(field.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos);
    EXPECT_FALSE(field.help.empty());
    EXPECT_FALSE(field.commands.empty());
    EXPECT_EQ(field.type.empty(), field.binding.kind == FieldKind::kSwitch) << "help names the value of all but switches";
    EXPECT_FALSE(field.default_text().empty() && section_of(field).unset.empty()) << "say what happens without it";
    for (const std::string& other : field.instead_of) EXPECT_NE(find_field(other), nullptr) << other;
  }
  for (const Section& section : sections()) {
    EXPECT_EQ(names.count(section.name), 0u) << "a plain key of this name would collide with the section in a file";
  }
}

TEST(Fields, NoCommandTakesAFlagTwice) {
  std::set<std::string> commands = {"config"};
  for (const Field& field : fields()) commands.insert(field.commands.begin(), field.commands.end());
  for (const std::string& command : commands) {
    std::set<std::string> flags = {"--config", "--no-config", "--preset", "--print-config", "--save-config", "--help"};
    for (const Field& field : fields()) {
      if (!field.taken_by(command)) continue;
      EXPECT_TRUE(flags.insert(field.flag_name(command)).second) << command << " " << field.name;
      for (const FlagAlias& alias : field.aliases) EXPECT_TRUE(flags.insert(alias.flag).second) << alias.flag;
    }
  }
}

TEST(Fields, EachChangesWhatTheProgramDoes) {
  const std::shared_ptr<Engine> engine = nano();
  for (const Field& field : fields()) {
    SCOPED_TRACE(field.name);
    Settings settings;
    const std::string value = sample(field);
    field.binding.set(settings, checked_value(field, value, "here"));
    EXPECT_NE(consequences(settings, *engine), consequences(Settings(), *engine)) << "changes nothing: " << value;
    EXPECT_EQ(field.binding.get(settings), value);
    field.binding.copy(settings, Settings());
    EXPECT_EQ(consequences(settings, *engine), consequences(Settings(), *engine));
  }
}

TEST(Fields, EveryBadValueGivesOneLineThatSaysWhatIsTaken) {
  for (const Field& field : fields()) {
    std::vector<std::string> bad;
    const FieldKind kind = field.binding.kind;
    if (kind == FieldKind::kWhole || kind == FieldKind::kNumber) {
      bad = {"", "soon", "nan", "inf", "0x10", "1 2", "1e999"};
      if (std::isfinite(field.range.least)) bad.push_back(fmt::format("{}", field.range.least - 1));
      if (std::isfinite(field.range.greatest)) bad.push_back(fmt::format("{}", field.range.greatest + 1));
      if (field.range.least_excluded) bad.push_back(fmt::format("{}", field.range.least));
      if (field.range.greatest_excluded) bad.push_back(fmt::format("{}", field.range.greatest));
    }
    if (kind == FieldKind::kWhole) bad.insert(bad.end(), {"1.5", "99999999999999999999"});
    if (kind == FieldKind::kSwitch) bad = {"", "maybe", "2"};
    if (!field.choices.empty()) bad = {"", field.choices.front() + "x"};
    for (const std::string& value : bad) {
      const std::string message = refusal(field, value);
      EXPECT_EQ(message.rfind("WHERE: ", 0), 0u) << field.name << " takes '" << value << "'";
      EXPECT_NE(message.find("expected " + field.expectation()), std::string::npos) << message;
      EXPECT_NE(message.find("found '" + value + "'"), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
}

TEST(Fields, TheLibraryTakesTheEndsOfEachRange) {
  const std::shared_ptr<Engine> engine = nano();
  for (const Field& field : fields()) {
    for (const double end : {field.range.least, field.range.greatest}) {
      const std::string value = fmt::format("{}", end);
      if (!std::isfinite(end) || !takes(field, value)) continue;
      SCOPED_TRACE(field.name + " " + value);
      Settings settings;
      settings.engine.model = "any";
      field.binding.set(settings, value);
      EXPECT_NO_THROW(settings.engine.validate());
      SpeechRequest request;
      apply_settings(settings, *engine, request);
      EXPECT_NO_THROW(request.backbone_sampling->validate("sampling"));
      EXPECT_NO_THROW(request.depth_sampling->validate("sampling"));
    }
  }
}

TEST(Fields, ChoicesAndSwitchesTakeAnySpelling) {
  EXPECT_EQ(checked_value(*find_field("dtype"), "BF16", "here"), "bf16");
  EXPECT_EQ(checked_value(*find_field("greedy"), "Yes", "here"), "true");
  EXPECT_EQ(checked_value(*find_field("greedy"), "0", "here"), "false");
  EXPECT_NE(refusal(*find_field("kv-type"), "q8").find("did you mean 'q8_0'?"), std::string::npos);
  EXPECT_NE(refusal(*find_field("quantize"), "q3").find("q4_K"), std::string::npos);
}

TEST(Fields, FramesBecomeSecondsOfTheModelsOwnRate) {
  const std::shared_ptr<Engine> engine = nano();
  Settings settings;
  settings.speech.max_frames = 25;
  SpeechRequest request;
  apply_settings(settings, *engine, request);
  EXPECT_DOUBLE_EQ(*request.max_seconds * engine->sample_rate_hz() / engine->frame_samples(), 25);
}

}  // namespace
}  // namespace csm::app
