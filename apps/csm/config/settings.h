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
#include <vector>

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
  std::optional<double> deadline;
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
  std::string silentcipher_weights;  // empty: those of the hub
  std::string silentcipher_message;  // empty: the reference CSM's
};

// Which turns stay context when they do not all fit.
struct ContextSettings {
  std::optional<std::string> strategy;  // unset: what the command does by itself
  std::string compress = "none";
  double compress_seconds = 2;
  std::optional<int> window;

  ContextOptions options(ContextStrategy by_default) const;  // errors: UsageError
};

struct OutputSettings {
  std::string format;                // "" = by the file name
  std::optional<int> sample_rate_hz;  // unset: the model's own
  std::string bits = "16";           // "16", "24", "32" or "float"
  bool is_float = false;             // the same as bits = "float"
  bool dither = false;
  std::optional<double> loudness_lufs, peak_db, true_peak_db;
  double fade_in_seconds = 0;
  double fade_out_seconds = 0;
  bool quiet = false;

  // As the library has it. Errors: UsageError for tags that are not KEY=VALUE, and for what does not go together.
  AudioOutputOptions audio(const std::vector<std::string>& tags) const;
};

struct Settings {
  EngineOptions engine;
  std::optional<std::string> memory_limit;  // "2G"
  SpeechSettings speech;
  ContextSettings context;
  SamplingSettings sampling;
  WatermarkSettings watermark;
  OutputSettings output;
};

}  // namespace csm::app
