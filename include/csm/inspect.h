// Looking at models and at this machine without running anything.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <csm/engine.h>

namespace csm {

struct TensorSummary {
  std::string name;  // as in the file
  std::string type;  // "F32", "BF16", ...
  std::vector<int64_t> shape;
  uint64_t n_bytes = 0;
};

struct FileReport {
  std::string kind;    // "csm", "mimi", "safetensors", "gguf" (of another kind than ours) or "config"
  std::string layout;  // "transformers", "original", "gguf" or "mimi"; empty for a bare file
  std::vector<std::pair<std::string, std::string>> spec;  // (name, value) in reading order
  std::vector<TensorSummary> tensors;
  std::vector<std::string> warnings;
  uint64_t n_parameters = 0;
  uint64_t weight_bytes = 0;                                       // as stored
  std::vector<std::pair<std::string, uint64_t>> memory_estimates;  // ("f32", bytes), ("q8_0", bytes), ...: weights + KV cache
};

// A model directory or GGUF file (checked whole, as loading would), a safetensors or foreign GGUF file, or a config.json.
// Errors: those of Engine::open.
FileReport inspect(const std::string& path);

struct DeviceReport {
  std::string backend;
  std::string name;
  std::string description;
  uint64_t memory_bytes = 0;
};

struct SystemReport {
  std::string csm_version;
  std::string compiler;
  std::string operating_system;
  int n_logical_cores = 0;
  int n_physical_cores = 0;
  uint64_t memory_bytes = 0;
  std::vector<std::string> cpu_features;
  std::vector<std::pair<std::string, std::string>> libraries;  // (name, version), backends included
  std::vector<DeviceReport> devices;
  std::vector<std::string> audio_formats;
  std::string bundled_model;  // path, empty if not found
  std::vector<std::string> problems;
};

SystemReport doctor();

// As Engine::tokenize, from the tokenizer of the model alone. Errors: kNotFound, kInvalidData, kUnsupported; kInvalidArgument when the
// text is not UTF-8.
TokenizeResult tokenize(const std::string& model, const std::string& text);

// Where the bundled model is: $CSM_MODEL, beside the program's build tree, or the install prefix. Empty when there is none.
std::string bundled_model_path();
// The folder of the voices that come with it (csm/voice.h), or "".
std::string bundled_voices_path();

// Peak resident memory of this process in bytes.
uint64_t peak_memory_bytes();

}  // namespace csm
