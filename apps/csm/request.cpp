#include "request.h"

#include <random>

namespace csm::app {
namespace {

void apply(const SamplingSettings::Part& part, SamplingOptions& options) {
  const auto take = [](auto& value, const auto& setting) {
    if (setting) value = *setting;
  };
  take(options.temperature, part.temperature);
  take(options.top_k, part.top_k);
  take(options.top_p, part.top_p);
  take(options.min_p, part.min_p);
  take(options.repetition_penalty, part.repetition_penalty);
  take(options.frequency_penalty, part.frequency_penalty);
  take(options.presence_penalty, part.presence_penalty);
  take(options.penalty_window, part.penalty_window);
}

}  // namespace

SamplingOptions SamplingSettings::backbone(SamplingOptions defaults) const {
  apply(both, defaults);
  if (greedy) defaults.temperature = 0;
  return defaults;
}

SamplingOptions SamplingSettings::depth_decoder(SamplingOptions defaults) const {
  apply(both, defaults);
  apply(depth, defaults);
  if (greedy) defaults.temperature = 0;
  return defaults;
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
  request.backbone_sampling = settings.sampling.backbone(engine.default_backbone_sampling());
  request.depth_sampling = settings.sampling.depth_decoder(engine.default_depth_sampling());
}

}  // namespace csm::app
