// The depth decoder: hidden states of the backbone -> logits of each codebook, lazily.
//
// A DepthFrame is one frame of a batch: its key-value memory lives as long as it. Position 0 is the backbone's hidden
// state, position i the embedding of code i-1; the output at position i gives code i (spec 1.5). Codes may be lazy
// arrays, so that a whole frame with its sampling is one graph. Inference thread only.
#pragma once

#include <memory>
#include <vector>

#include "backends/mlx/transformer.h"
#include "model/model.h"

namespace csm::mlx_backend {

class DepthDecoder {
 public:
  DepthDecoder(std::shared_ptr<Device> device, WeightLoader& loader, const Checkpoint& checkpoint,
               const BackendOptions& options);

  // Weights that one frame reads.
  uint64_t frame_bytes() const;

 private:
  friend class DepthFrame;
  std::shared_ptr<Device> device_;
  ModelSpec spec_;
  Stack stack_;
  Matrix projection_;
  std::vector<Matrix> heads_;  // by codebook
  Table audio_table_;
};

class DepthFrame {
 public:
  // hidden [batch, backbone width].
  DepthFrame(const DepthDecoder& decoder, const mx::array& hidden, StageTap* tap)
      : decoder_(decoder), hidden_(hidden), tap_(tap) {}

  // Logits [batch, audio vocabulary] of codebook c; previous [batch] int32: the codes of codebook c - 1, read for c
  // >= 1. Codebooks go in order 0, 1, 2 ...
  mx::array logits(int codebook, const mx::array& previous);
  // What the tap is to see, to be evaluated before report(): layer by layer for each codebook from 1.
  const std::vector<mx::array>& stages() const { return stages_; }
  // Reports the stages of the first sequence so far, once.
  void report();

 private:
  const DepthDecoder& decoder_;
  mx::array hidden_;
  StageTap* tap_;
  std::vector<mx::array> k_;  // by layer: [batch, n_kv_heads, positions so far, head_dim]
  std::vector<mx::array> v_;
  std::vector<mx::array> stages_;
};

}  // namespace csm::mlx_backend
