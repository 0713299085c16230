// The arithmetic of SilentCipher's layers: one row of a gated convolution.
//
// A gated layer computes C = conv(x) and G = conv(x), both with bias and zero padding, and gives C * sigmoid(G). Planes are
// [frequency][time][channel], so that the channels under a filter tap lie together.
//
// Place in the flow: silentcipher_network -> (here). Stateless; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace csm::cipher {

inline constexpr int kConvLanes = 8;      // output channels that are computed together
inline constexpr int kConvPositions = 6;  // frames that are computed together

inline int padded_channels(int n) { return (n + kConvLanes - 1) / kConvLanes * kConvLanes; }
inline int padded_frames(int n) { return (n + kConvPositions - 1) / kConvPositions * kConvPositions; }

// Weights of both convolutions, in the order in which they are read: [block][tap row][tap column][in][C lanes, G lanes].
struct GatedWeights {
  int n_in = 0;
  int n_out = 0;
  int side = 3;  // 3 or 1
  std::vector<float> packed;
  std::vector<float> bias;  // [block][C lanes, G lanes]
};

// conv, gate: [n_out][n_in][side][side], as PyTorch has them.
GatedWeights pack_gated(int n_in, int n_out, int side, std::span<const float> conv, std::span<const float> conv_bias,
                        std::span<const float> gate, std::span<const float> gate_bias);

// One row of output, [padded_frames(n_frames)][padded_channels(n_out)]. rows: the side rows of input around it, each
// [side / 2 + padded_frames(n_frames) + side / 2][n_in] with zeros where there are no frames.
void gated_row(const GatedWeights& weights, std::span<const float* const> rows, int n_frames, float* out);

}  // namespace csm::cipher
