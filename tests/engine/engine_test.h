// What the tests of the engine share: engines on the tiny checkpoints, requests as the goldens describe them.
#pragma once

#include <csm/csm.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "golden/golden.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace csm::test {

inline EngineOptions options_for(const std::string& model_path) {
  EngineOptions options;
  options.model = model_path;
  options.n_threads = 1;
  options.dtype = "f32";
  return options;
}

inline std::shared_ptr<Engine> open_tiny(const std::string& checkpoint) {
  return Engine::open(options_for(kData + "/ckpt/" + checkpoint));
}

inline std::shared_ptr<Engine> open_demo() { return Engine::open(options_for(std::string(CSM_MODELS_DIR) + "/demo")); }

inline SamplingOptions greedy() {
  SamplingOptions options;
  options.temperature = 0;
  return options;
}

// Unmarked, so that its samples are those of the codec.
inline SpeechRequest greedy_request(const std::string& text) {
  SpeechRequest request;
  request.watermark.enabled = false;
  request.text = text;
  request.backbone_sampling = request.depth_sampling = greedy();
  return request;
}

inline Audio golden_clip(const std::string& name) {
  Audio audio;
  audio.sample_rate_hz = 24'000;
  audio.samples = read_arrays(kData + "/audio/clips.safetensors").at(name).values;
  for (float& sample : audio.samples) sample /= 32768;
  return audio;
}

// The greedy request behind prompt_C, its context given as audio.
inline SpeechRequest golden_request(const GoldenModel& model, const std::string& conversation) {
  const std::string path = gold_path(model, "prompt_" + conversation);
  const nlohmann::json golden = parse_json(read_safetensors_metadata(path).at("conversation"), path);
  SpeechRequest request = greedy_request(golden.at("text").get<std::string>());
  request.speaker = golden.at("speaker").get<int>();
  for (const nlohmann::json& segment : golden.at("segments")) {
    Turn turn;
    turn.speaker = segment.at("speaker").get<int>();
    turn.text = segment.at("text").get<std::string>();
    turn.audio = golden_clip(segment.at("clip").get<std::string>());
    request.context.push_back(turn);
  }
  return request;
}

// The codes that free-running greedy decoding must give: [n, n_codebooks], the end frame included.
inline std::vector<int32_t> golden_codes(const GoldenModel& model, const std::string& conversation) {
  return read_arrays(gold_path(model, "greedy_" + conversation)).at("codes").as_int();
}

// The csm::Error that action must throw; its code is checked, its message returned.
inline std::string error_of(ErrorCode code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "an error is one line";
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace csm::test
