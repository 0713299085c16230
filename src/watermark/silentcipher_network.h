// SilentCipher's networks: stacks of gated layers with batch normalisation over one utterance.
//
// The original never leaves training mode, so each channel is normalised by its mean and variance over all bins and frames of the very
// utterance; stored statistics are not used. That makes each layer a barrier, and the result a function of the whole utterance.
//
// Place in the flow: silentcipher_weights -> (here) -> silentcipher. Weights are immutable; a Plane belongs to one call. The work is shared
// out by rows among threads and does not depend on their number.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "watermark/silentcipher_conv.h"

namespace csm::cipher {

struct GatedLayer {
  GatedWeights weights;
  std::vector<float> gamma;  // [n_out], of the normalisation
  std::vector<float> beta;
};

// [row][frame][channel]. One plane serves all layers of an utterance: each writes its rows over those it has read.
class Plane {
 public:
  Plane(int n_rows, int n_frames, int max_channels);

  int n_rows() const { return n_rows_; }
  int n_frames() const { return n_frames_; }
  float* row(int index) { return data_.data() + static_cast<size_t>(index) * row_floats_; }
  const float* row(int index) const { return data_.data() + static_cast<size_t>(index) * row_floats_; }

 private:
  int n_rows_;
  int n_frames_;
  size_t row_floats_;
  std::vector<float> data_;
};

// What normalisation makes of a channel: x * scale + shift.
struct ChannelScales {
  std::vector<float> scale;  // [padded channels]
  std::vector<float> shift;
};

// Writes one row of a layer's input: [n_frames][n_in].
using RowLoader = std::function<void(int row, float* out)>;

// Runs a layer over all rows. What it writes, [frame][padded channels], is not normalised yet: the scales say how. load may read the
// rows of the plane: none is overwritten before all that need it have it.
ChannelScales run_layer(const GatedLayer& layer, const RowLoader& load, Plane& plane, int n_threads);

// Loads rows of a plane that the layer before has written, normalised: n channels of each frame at the beginning of n_in.
void load_normalised(const Plane& plane, int row, const ChannelScales& scales, int n, int n_in, float* out);

// Runs function(first, last) on parts of [0, n), on at most n_threads threads.
void share_out(int n, int n_threads, const std::function<void(int first, int last)>& function);

}  // namespace csm::cipher
