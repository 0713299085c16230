// All that a person can set for a command: what the table of fields (fields.h) writes into, whatever the value came from.
//
// Place in the flow: command line, environment, presets and configuration file -> Settings -> the structs of the
// library. A value; each run of the program has one.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>

#include <cstdint>
#include <optional>

namespace csm::app {

// What is changed of a model's sampling defaults. Unset means the model's own.
struct SamplingSettings {
  struct Part {
    std::optional<float> temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty;
    std::optional<int> top_k, penalty_window;
  };
  Part both;   // temperature ...
  Part depth;  // depth-temperature ...: wins over `both` in the depth decoder
  bool greedy = false;

  SamplingOptions backbone(SamplingOptions defaults) const;
  SamplingOptions depth_decoder(SamplingOptions defaults) const;
};

struct SpeechSettings {
  std::optional<int> speaker;
  std::optional<uint64_t> seed;
  std::optional<double> max_seconds;
  std::optional<int> max_frames;
  int min_frames = 0;
};

struct OutputSettings {
  bool is_float = false;
  bool quiet = false;
};

struct Settings {
  EngineOptions engine;
  SpeechSettings speech;
  SamplingSettings sampling;
  OutputSettings output;
};

}  // namespace csm::app
