#include "request.h"

#include <csm/inspect.h>
#include <csm/voice.h>
#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <system_error>

#include "sampling_text.h"

#include "watermark_key.h"

#include "byte_size.h"
#include "flags.h"

namespace csm::app {
namespace {

void apply(const SamplingSettings::Part& part, SamplingOptions& options) {
  const auto take = [](auto& value, const auto& setting) {
    if (setting) value = *setting;
  };
  // The plain setting of this part ends the schedule of a wider one.
  if (part.temperature) options.temperature_schedule.clear();
  if (part.top_k) options.top_k_schedule.clear();
  take(options.temperature, part.temperature);
  take(options.top_k, part.top_k);
  take(options.top_p, part.top_p);
  take(options.min_p, part.min_p);
  take(options.repetition_penalty, part.repetition_penalty);
  take(options.frequency_penalty, part.frequency_penalty);
  take(options.presence_penalty, part.presence_penalty);
  take(options.penalty_window, part.penalty_window);
  if (part.temperature_schedule) options.temperature_schedule = parse_schedule(*part.temperature_schedule);
  if (part.top_k_schedule) options.top_k_schedule = parse_schedule(*part.top_k_schedule);
  if (part.logit_bias) options.logit_bias = parse_logit_bias(*part.logit_bias);
}

void make_greedy(SamplingOptions& options) {
  options.temperature = 0;
  options.temperature_schedule.clear();
}

GuardPolicy policy_of(const std::string& name) {
  for (const GuardPolicy policy : {GuardPolicy::kOff, GuardPolicy::kStop, GuardPolicy::kRetry}) {
    if (name == to_string(policy)) return policy;
  }
  return GuardPolicy::kFail;  // the table knows no other
}

// A model elsewhere than those that come with csm: only they were trained on their numbers as voices.
bool is_bundled_model(const std::string& model) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path voices = fs::weakly_canonical(bundled_voices_path(), error);
  return !voices.empty() && fs::weakly_canonical(model, error).parent_path() == voices.parent_path();
}

}  // namespace

SamplingOptions SamplingSettings::backbone(SamplingOptions defaults) const {
  apply(both, defaults);
  if (greedy) make_greedy(defaults);
  return defaults;
}

SamplingOptions SamplingSettings::depth_decoder(SamplingOptions defaults) const {
  apply(both, defaults);
  apply(depth, defaults);
  if (greedy) make_greedy(defaults);
  return defaults;
}

ContextOptions ContextSettings::options(ContextStrategy by_default) const {
  ContextOptions result;
  check_usage([&] {
    result.strategy = strategy ? parse_context_strategy(*strategy) : by_default;
    result.compression = parse_turn_compression(compress);
    result.compressed_seconds = compress_seconds;
    result.max_positions = window;
    result.validate();
  });
  return result;
}

EngineOptions engine_options(const Settings& settings) {
  EngineOptions options = settings.engine;
  if (settings.memory_limit) options.memory_limit_bytes = parse_bytes(*settings.memory_limit);
  return options;
}

void apply_settings(const Settings& settings, const Engine& engine, SpeechRequest& request) {
  const SpeechSettings& speech = settings.speech;
  request.speaker = speech.speaker.value_or(request.speaker);
  request.seed = speech.seed ? *speech.seed : uint64_t{std::random_device{}()};
  request.max_seconds = speech.max_seconds;
  if (speech.max_frames) {
    request.max_seconds = static_cast<double>(*speech.max_frames) * engine.frame_samples() / engine.sample_rate_hz();
  }
  request.min_frames = speech.min_frames;
  request.stop_bias = speech.stop_bias;
  request.guard = speech.guard;
  request.guard.policy = policy_of(speech.guard_policy);
  request.trim = speech.trim;
  request.deadline_seconds = speech.deadline;
  request.backbone_sampling = settings.sampling.backbone(engine.default_backbone_sampling());
  request.depth_sampling = settings.sampling.depth_decoder(engine.default_depth_sampling());
  const WatermarkKey key = request.watermark.key;
  request.watermark = watermark_options(settings.watermark);
  request.watermark.key = key;
}

void apply_voice(const Settings& settings, Engine& engine, SpeechRequest& request) {
  const SpeechSettings& speech = settings.speech;
  if (!speech.voice.empty()) {
    const Voice voice = find_voice(speech.voice);
    if (!speech.speaker && request.context.empty()) request.speaker = voice.speaker;
    std::vector<Turn> turns = voice_turns(engine, voice, request.speaker);
    for (Turn& turn : turns) turn.pinned = true;
    request.context.insert(request.context.begin(), turns.begin(), turns.end());
    return;
  }
  static bool has_warned = false;
  if (has_warned || !speech.speaker || !request.context.empty() || is_bundled_model(settings.engine.model)) return;
  has_warned = true;
  fmt::print(stderr,
             "csm: with this model --speaker {} alone does not fix the voice: each run may sound like another person; "
             "give --voice NAME or context\n",
             *speech.speaker);
}

}  // namespace csm::app
