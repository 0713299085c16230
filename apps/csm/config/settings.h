// All that a person can set for a command: what the table of fields (fields.h) writes into, whatever the value came from.
//
// Place in the flow: command line, environment, presets and configuration file -> Settings -> the structs of the
// library. A value; each run of the program has one.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>

#include <cstdint>
#include <optional>
#include <string>

namespace csm::app {

// What is changed of a model's sampling defaults. Unset means the model's own.
struct SamplingSettings {
  struct Part {
    std::optional<float> temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty;
    std::optional<int> top_k, penalty_window;
    std::optional<std::string> temperature_schedule, top_k_schedule, logit_bias;  // sampling_text.h
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
  float stop_bias = 0;
  std::string voice;  // a name, or the path of a file
  // Unlike in the library, the guard is on.
  std::string guard_policy = "retry";
  GuardOptions guard;  // but for its policy
  TrimOptions trim;
};

struct WatermarkSettings {
  std::string kind = "csm";
  std::string preset = "normal";
  std::string payload;   // hexadecimal; empty: the default of WatermarkOptions
  std::string key_file;  // empty: watermark_key() looks elsewhere
};

struct OutputSettings {
  bool is_float = false;
  bool quiet = false;
};

struct Settings {
  EngineOptions engine;
  SpeechSettings speech;
  SamplingSettings sampling;
  WatermarkSettings watermark;
  OutputSettings output;
};

}  // namespace csm::app
