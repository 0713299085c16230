// The manifest: which tensors a model must have, under which canonical name, with which shape, and what they are for.
//
// Place in the flow: ModelSpec -> manifest -> checkpoint (what must be there), backends (what to load), inspect (what
// it would need in memory), bench (what to make up). Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/spec.h"

namespace csm {

enum class ModelPart { kText, kAudio, kBackbone, kDepth, kCodec };

// How a tensor is used, which decides the types it may be stored in.
enum class TensorUse {
  kMatrix,       // [out, in], multiplied with every step (codebooks_head: [codebook, in, out])
  kTable,        // rows looked up by id
  kVector,       // norm weights, biases, layer scales
  kConvolution,  // [out, in, kernel]; transposed ones [in, out, kernel]
  kCodebook,     // sums of entries and their usage counts
};

struct ManifestEntry {
  std::string name;            // canonical
  std::vector<int64_t> shape;  // as in PyTorch
  ModelPart part = ModelPart::kCodec;
  TensorUse use = TensorUse::kMatrix;
  bool may_quantise = false;  // matrices of backbone and depth decoder; never norms, tables or the codec
};

// All tensors of a model, in the order of the computation. The audio table is one entry, kBackboneAudioTable, when it
// is tied, and two when it is not. Buffers that some files carry and nobody needs are not listed.
std::vector<ManifestEntry> manifest(const ModelSpec& spec);

const char* to_string(ModelPart part);

}  // namespace csm
