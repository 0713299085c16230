// A checkpoint -> the files of an MLX-ready directory: model.safetensors in the names and row order of csm-mlx and
// mlx-audio, the codec beside it as mimi.safetensors (whose tensors their strict loaders would not expect in the
// first).
//
// Place in the flow: loader -> checkpoint -> (here). Tensor by tensor and within a tensor row by row, so that memory is
// bounded whatever the model's size. Stateless; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/affine.h"
#include "model/checkpoint.h"

namespace csm {

struct MlxFormat {
  DType dtype = DType::kF16;  // of all that is not quantised: kF32, kF16 or kBF16
  AffineFormat backbone;      // bits 0: not quantised
  AffineFormat depth;
  // Canonical name, or the beginning of one, -> what stands there instead. Tried in order before the built-in names.
  std::vector<std::pair<std::string, std::string>> names;
};

// Called after each tensor. False stops the conversion with kCancelled.
using MlxProgress = std::function<bool(const std::string& tensor, uint64_t n_bytes_done, uint64_t n_bytes_total)>;

// The name that the MLX ecosystem gives a tensor of the language model ("backbone.layers.0.self_attn.q_proj.weight").
std::string mlx_name(const std::string& canonical, const MlxFormat& format);

// What each tensor of the language model becomes: with its canonical name and, when it is quantised, the format.
// Errors: kUnsupported when groups do not divide a quantised row.
struct MlxPlanEntry {
  std::string canonical;
  std::string name;
  AffineFormat format;
};
std::vector<MlxPlanEntry> mlx_plan(const Checkpoint& checkpoint, const MlxFormat& format);

// Writes the language model. Appears only when whole. Errors: kIo, kInvalidArgument (two tensors of one name),
// kUnsupported.
void write_mlx_model(const Checkpoint& checkpoint, const MlxFormat& format, const std::string& path,
                     const MlxProgress& progress);
// Writes the codec in its stored types, under Transformers' names and with their row order.
void write_mlx_codec(const Checkpoint& checkpoint, const std::string& path, const MlxProgress& progress);

// The "quantization" entry of config.json as mlx-lm writes it: group size and bits, and by module where they differ.
nlohmann::json mlx_quantization(const std::vector<MlxPlanEntry>& plan);

}  // namespace csm
