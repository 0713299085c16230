// Model files -> model files.
//
// Place in the flow: before Engine::open; its output opens like any model. Functions may be called from any thread;
// progress is reported on the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

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
  std::string names_file;  // a JSON object {"beginning of a canonical name": "what MLX shall have there"}; empty: the
                           // built-in names
  std::function<bool(const ConvertProgress&)> on_progress;  // false stops with kCancelled; may be empty

  void validate() const;  // Errors: kInvalidArgument
};

struct ConvertReport {
  int n_tensors = 0;     // of the file; for MLX of the language model
  int n_quantised = 0;   // among them
  uint64_t n_bytes = 0;  // of all weight files
};

struct GgufConvertOptions {
  // What matrices become: "stored" (no change), "f32", "f16", "bf16", "q8_0", "q6_K", "q5_K", "q4_K", "q4_0", "iq4_nl"; or by part:
  // "q4_K,depth=q6_K,tables=f16,codec=f16". Quantised types leave embedding tables and the codec as stored; heads and projection have 8
  // bits or more.
  std::string type = "stored";
  int n_threads = 0;  // 0 = physical cores
  std::string name;   // of the model, for people; empty: the directory's
  std::function<bool(const ConvertProgress&)> on_progress;  // false stops with kCancelled; may be empty

  void validate() const;  // Errors: kInvalidArgument
};

struct ConvertedTensor {
  std::string name;
  std::string part;  // "backbone", "codec", ...
  std::string from;  // "F32", "BF16", ...
  std::string to;
  std::vector<int64_t> shape;
  uint64_t n_bytes = 0;
};

struct GgufPlan {
  std::vector<ConvertedTensor> tensors;
  std::vector<std::pair<std::string, uint64_t>> part_bytes;  // (part, bytes), in the order of the file
  uint64_t n_bytes = 0;                                      // of the file
};

// What a conversion would write. Errors: as convert_to_gguf.
GgufPlan plan_gguf_conversion(const std::string& model, const GgufConvertOptions& options);

// Writes one file that holds everything: weights of language model and codec, configuration, tokenizer, model card. It appears only when
// whole; memory is bounded by some rows for each thread; it is loaded by mapping. Weights converted to a type are bit for bit those that
// quantising at load gives. Errors: those of Engine::open for the model; kInvalidArgument (type, quantised weights that shall change),
// kUnsupported (rows that blocks do not divide), kIo (disk full, ...), kCancelled.
ConvertReport convert_to_gguf(const std::string& model, const std::string& path, const GgufConvertOptions& options);
// The same bytes in memory.
std::vector<std::byte> convert_to_gguf_in_memory(const std::string& model, const GgufConvertOptions& options);

// Writes a directory for the MLX ecosystem, which csm opens too: model.safetensors (names and row order of csm-mlx and
// mlx-audio, groupwise affine quantisation), mimi.safetensors, and the model's configuration and tokenizer. It appears
// only when whole; memory is bounded by one tensor. Errors: those of Engine::open for the model; kInvalidArgument
// (options, a directory that is not empty), kUnsupported, kIo.
ConvertReport convert_to_mlx(const std::string& model, const std::string& directory, const MlxConvertOptions& options);

}  // namespace csm
