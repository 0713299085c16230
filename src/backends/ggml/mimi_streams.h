// What make_mimi puts together: the decoders and the encoder of one codec. Private to the mimi files of this folder.
#pragma once

#include <memory>

#include "backends/ggml/mimi_weights.h"
#include "model/model.h"

namespace csm::ggml {

// What all streams of a codec share.
struct MimiShared {
  std::shared_ptr<Device> device;
  std::shared_ptr<const MimiWeights> weights;
  StageTap* tap = nullptr;
};

std::unique_ptr<CodecDecoder> make_mimi_decoder(const MimiShared& shared);
// The decoder as others write it, for comparison; its weights have the plain layout.
std::unique_ptr<CodecDecoder> make_naive_mimi_decoder(const MimiShared& shared);
std::unique_ptr<CodecEncoder> make_mimi_encoder(const MimiShared& shared);

// Throws kInvalidArgument unless codes are whole frames of 1..n_codebooks valid codes.
void check_codes(const CodecSpec& spec, std::span<const int32_t> codes, int n_codebooks);

}  // namespace csm::ggml
