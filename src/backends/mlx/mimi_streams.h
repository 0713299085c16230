// What make_mimi puts together: the decoders and encoders of one codec. Private to the mimi files of this folder.
#pragma once

#include <memory>

#include "backends/mlx/mimi_weights.h"
#include "model/model.h"

namespace csm::mlx_backend {

// What all streams of a codec share.
struct MimiShared {
  std::shared_ptr<Device> device;
  std::shared_ptr<const MimiWeights> weights;
  StageTap* tap = nullptr;
};

inline constexpr int kStepsPerFrame = 2;  // latent steps

std::unique_ptr<CodecDecoder> make_mimi_decoder(const MimiShared& shared);
std::unique_ptr<CodecEncoder> make_mimi_encoder(const MimiShared& shared);

}  // namespace csm::mlx_backend
