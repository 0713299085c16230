// Mimi's weights as its graphs use them: activations are channels-last ({channels, steps}), so a convolution is one
// product of a matrix with a sliding window of its input (docs/decisions/0004-upsampling.md).
//
// Place in the flow: checkpoint -> MimiWeights -> streams. Immutable after load; shared by all streams of a codec;
// inference thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/ggml/weights.h"
#include "model/backend.h"
#include "model/checkpoint.h"

namespace csm::ggml {

// How the decoder's convolutions are laid out.
enum class ConvolutionLayout {
  kWindow,  // matrices over windows of channels-last steps
  kPlain,   // as in the file, {kernel, in, out} or {kernel, out, in}: what ggml_im2col and ggml_conv_transpose_1d take
};

struct Convolution {
  ggml_tensor* weight = nullptr;  // kWindow: {kernel * in, out}, column k * in + c
  ggml_tensor* bias = nullptr;    // {out}; null: none
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 0;
  int64_t stride = 0;

  int64_t n_past() const { return kernel - stride; }  // input steps that the next frame sees again
};

// A transposed convolution whose kernel is twice its stride.
struct Upsampling {
  ggml_tensor* weight =
      nullptr;  // kWindow: {2 * in, stride * out}, row s * out + o, columns of the previous step, then the current
  ggml_tensor* bias = nullptr;  // {out}
  int64_t in = 0;
  int64_t out = 0;
  int64_t stride = 0;
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
  ggml_tensor* norm1 = nullptr;
  ggml_tensor* norm1_bias = nullptr;
  ggml_tensor* qkv = nullptr;  // q, k and v rows under each other
  ggml_tensor* out = nullptr;
  ggml_tensor* scale1 = nullptr;
  ggml_tensor* norm2 = nullptr;
  ggml_tensor* norm2_bias = nullptr;
  ggml_tensor* fc1 = nullptr;
  ggml_tensor* fc2 = nullptr;
  ggml_tensor* scale2 = nullptr;
};

// Semantic or acoustic half of the split residual vector quantiser.
struct QuantiserPart {
  ggml_tensor* input_projection = nullptr;   // {width, dim}
  ggml_tensor* output_projection = nullptr;  // {dim, width}
  int first = 0;                             // its codebooks among all
  int n = 0;
};

struct MimiWeights {
  MimiWeights(std::shared_ptr<Device> device, const Checkpoint& checkpoint, WeightType type,
              ConvolutionLayout decoder_layout);

  CodecSpec spec;
  ggml_tensor* inverse_frequencies = nullptr;  // {head_dim / 2}

  Convolution encoder_first;
  std::vector<EncoderStage> encoder;
  Convolution encoder_last;
  std::vector<CodecLayer> encoder_transformer;
  Convolution downsample;

  ggml_tensor* upsample = nullptr;  // {width, 4}: row k scales the step that lands at offset k
  std::vector<CodecLayer> decoder_transformer;
  Convolution decoder_first;
  std::vector<DecoderStage> decoder;
  Convolution decoder_last;

  QuantiserPart semantic;
  QuantiserPart acoustic;
  // All codebook entries under each other {dim, n_codebooks * size + 1}, each codebook from its last code to its first
  // (so that the last of equal maxima is the lowest code), then a row of zeros.
  ggml_tensor* codebooks = nullptr;
  ggml_tensor* half_norms = nullptr;  // {size, n_codebooks}: |entry|^2 / 2

  int32_t codebook_row(int codebook, int32_t code) const { return (codebook + 1) * spec.codebook_size - 1 - code; }
  int32_t zero_row() const { return spec.n_codebooks * spec.codebook_size; }
  uint64_t n_bytes() const { return store.n_bytes(); }

  WeightStore store;
};

}  // namespace csm::ggml
