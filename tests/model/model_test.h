// What the tests of the model layer share: configurations and weights of the tiny checkpoints, and changes to them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <csm/error.h>
#include "io/json.h"
#include "io/safetensors.h"
#include "model/checkpoint.h"

namespace csm::test {

inline const std::string kCheckpoints = std::string(CSM_TEST_DATA) + "/ckpt/";
inline const std::string kMalformed = std::string(CSM_TEST_DATA) + "/malformed/";

inline nlohmann::json config_of(const std::string& checkpoint) {
  return parse_json_file(kCheckpoints + checkpoint + "/config.json", 1 << 20);
}

inline ModelSpec spec_of(const std::string& checkpoint) { return parse_model_spec(config_of(checkpoint), checkpoint); }

inline std::vector<TensorInfo> weights_of(const std::string& checkpoint,
                                          const std::string& file = "model.safetensors") {
  return read_safetensors(kCheckpoints + checkpoint + "/" + file);
}

inline std::vector<float> values_of(const TensorInfo& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.n_elements()));
  const TensorBytes bytes = tensor.fetch();
  widen_to_f32(tensor.type, bytes.data.data(), values.size(), values.data());
  return values;
}

inline nlohmann::json malformed_cases() { return parse_json_file(kMalformed + "manifest.json", 1 << 24).at("cases"); }

// A tensor in memory.
inline TensorInfo made(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& values) {
  const auto owner = std::make_shared<std::vector<float>>(values);
  const auto bytes = std::as_bytes(std::span<const float>(*owner));
  return {name, DType::kF32, std::move(shape), [bytes, owner] { return TensorBytes{bytes, owner}; }};
}

inline TensorInfo& find(std::vector<TensorInfo>& tensors, const std::string& name) {
  for (TensorInfo& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("no tensor " + name);
}

inline void drop(std::vector<TensorInfo>& tensors, const std::string& name) {
  const TensorInfo* found = &find(tensors, name);
  tensors.erase(tensors.begin() + (found - tensors.data()));
}

// The error of an action: one line, of this code. "" when there was none.
inline std::string error_of(const std::function<void()>& action, ErrorCode code = ErrorCode::kInvalidData) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace csm::test
