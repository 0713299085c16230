// Mimi's weights as its lazy graphs use them: activations are channels-last ([steps, channels]), so a convolution is
// one product of a matrix with a sliding window of its input.
//
// Place in the flow: checkpoint -> MimiWeights -> streams. Immutable after load; shared by all streams of a codec;
// inference thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/mlx/weights.h"
#include "model/backend.h"
#include "model/checkpoint.h"

namespace csm::mlx_backend {

struct Convolution {
  Matrix weight;                  // [out, kernel * in], column k * in + c
  std::optional<mx::array> bias;  // [out]
  int kernel = 0;
  int stride = 0;

  int n_past() const { return kernel - stride; }  // input steps that the next frame sees again
};

// A transposed convolution whose kernel is twice its stride.
struct Upsampling {
  Matrix weight;   // [stride * out, 2 * in]: row s * out + o; columns of the previous step, then of the current
  mx::array bias;  // [out]
  int out = 0;
  int stride = 0;
};

struct ResidualBlock {
  Convolution first;
  Convolution second;  // kernel 1
};

// Encoder: block, then resample. Decoder: resample, then block.
struct EncoderStage {
  ResidualBlock block;
  Convolution down;
};
struct DecoderStage {
  Upsampling up;
  ResidualBlock block;
};

struct CodecLayer {
  mx::array norm1;
  mx::array norm1_bias;
  Matrix qkv;  // q, k and v rows under each other
  Matrix out;
  mx::array scale1;
  mx::array norm2;
  mx::array norm2_bias;
  Matrix fc1;
  Matrix fc2;
  mx::array scale2;
};

// Semantic or acoustic half of the split residual vector quantiser.
struct QuantiserPart {
  Matrix input_projection;   // [dim, width]
  Matrix output_projection;  // [width, dim]
  int first = 0;             // its codebooks among all
  int n = 0;
};

struct MimiWeights {
  CodecSpec spec;
  mx::array wavelengths;  // [head_dim / 2]

  Convolution encoder_first;
  std::vector<EncoderStage> encoder;
  Convolution encoder_last;
  std::vector<CodecLayer> encoder_transformer;
  Convolution downsample;

  mx::array upsample;  // [4, width]: row k scales the step that lands at offset k
  std::vector<CodecLayer> decoder_transformer;
  Convolution decoder_first;
  std::vector<DecoderStage> decoder;
  Convolution decoder_last;

  QuantiserPart semantic;
  QuantiserPart acoustic;
  std::vector<mx::array> codebooks;   // [size, dim] each
  std::vector<Matrix> scores;         // the same as linear maps: dim -> size
  std::vector<mx::array> half_norms;  // [size] each: |entry|^2 / 2
  uint64_t n_bytes = 0;
};

// Errors: kInvalidArgument for a type other than f32 and f16.
std::shared_ptr<const MimiWeights> load_mimi_weights(WeightLoader& loader, const Checkpoint& checkpoint,
                                                     WeightType type);

}  // namespace csm::mlx_backend
