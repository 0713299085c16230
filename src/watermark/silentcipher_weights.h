// SilentCipher's weights, from the original's checkpoint files (enc_c.ckpt, dec_c.ckpt, dec_m_0.ckpt) or the same as safetensors.
//
// Tensors are named main.N.{conv,gate}.{weight,bias}, main.N.bn.{weight,bias} and linear.{weight,bias}, with or without "module." in front;
// how many layers and channels there are follows from them.
//
// Place in the flow: io -> (here) -> silentcipher_network. Immutable once read; any thread.
#pragma once

#include <string>
#include <vector>

#include "io/tensor.h"
#include "watermark/silentcipher_network.h"

namespace csm::cipher {

// A stack and the linear map that stands beside or behind it.
struct SilentCipherStack {
  std::vector<GatedLayer> layers;
  std::vector<float> linear;       // [n_linear_out][n_linear_in]; empty where there is none
  std::vector<float> linear_bias;  // [n_linear_out]
  int n_linear_in = 0;
  int n_linear_out = 0;
};

// where opens the messages. Errors: kInvalidData for layers that do not fit each other, missing, of another type or not finite.
SilentCipherStack read_silentcipher_stack(const std::vector<TensorInfo>& tensors, const std::string& where);

// The first layer of the carrier decoder sees the magnitude and the message each repeated as often as the encoder has maps: here the
// weights of what is repeated are added up. n_maps + magnitude + message channels are left.
SilentCipherStack read_carrier_decoder(const std::vector<TensorInfo>& tensors, int n_maps, const std::string& where);

struct SilentCipherFiles {
  std::string encoder;          // enc_c
  std::string carrier_decoder;  // dec_c
  std::string message_decoder;  // dec_m_0; empty: there is none, so that marks can be made but not read
};

// In a directory, in its 44_1_khz/73999_iteration (as the hub's repository has it), .ckpt before .safetensors. Errors: kNotFound, with what
// is expected.
SilentCipherFiles find_silentcipher_files(const std::string& directory);

}  // namespace csm::cipher
