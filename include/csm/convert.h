// Model files -> model files.
//
// Place in the flow: before Engine::open; its output opens like any model. Functions may be called from any thread; progress is reported on
// the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <csm/error.h>

namespace csm {

struct ConvertProgress {
  std::string tensor;  // the one just written
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
};

struct MlxConvertOptions {
  std::string dtype = "f16";  // of what is not quantised: "f32", "f16" or "bf16"
  // Bits: "" (nothing is quantised), one of 8, 6, 4, 3 for both parts, or "backbone=8,depth=6".
  std::string quantize;
  int group_size = 64;     // 32, 64 or 128 elements of a row share a scale and a bias
  std::string names_file;  // a JSON object {"beginning of a canonical name": "what MLX shall have there"}; empty: the built-in names
  std::function<bool(const ConvertProgress&)> on_progress;  // false stops with kCancelled; may be empty
};

struct ConvertReport {
  int n_tensors = 0;    // of the language model
  int n_quantised = 0;  // among them
  uint64_t n_bytes = 0;  // of all weight files
};

// Writes a directory for the MLX ecosystem, which csm opens too: model.safetensors (names and row order of csm-mlx and mlx-audio, groupwise
// affine quantisation), mimi.safetensors, and the model's configuration and tokenizer. It appears only when whole; memory is bounded by
// one tensor. Errors: those of Engine::open for the model; kInvalidArgument (options, a directory that is not empty), kUnsupported, kIo.
ConvertReport convert_to_mlx(const std::string& model, const std::string& directory, const MlxConvertOptions& options);

}  // namespace csm
