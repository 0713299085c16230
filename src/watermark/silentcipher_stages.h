// The stages of SilentCipher, which the public class (csm/silentcipher.h) puts together and tests look between.
//
// Place in the flow: finished samples -> spectrum -> networks -> samples; the last step before the streaming mark. Weights are immutable;
// any thread.
#pragma once

#include <csm/silentcipher.h>

#include <vector>

#include "watermark/silentcipher_signal.h"
#include "watermark/silentcipher_weights.h"

namespace csm::cipher {

struct SilentCipherModel {
  SilentCipherStack encoder;          // enc_c: magnitude -> maps; its linear map: symbols -> bins
  SilentCipherStack carrier_decoder;  // dec_c: maps, magnitude, message -> one
  SilentCipherStack message_decoder;  // dec_m_0; no layers: there is none
};

// Checks that the parts fit each other. Errors: kInvalidData.
SilentCipherModel read_silentcipher_model(const SilentCipherFiles& files);
void check_silentcipher_model(const SilentCipherModel& model, const std::string& where);

// Called after each layer with what it gave, normalised: [row][frame][channel]. For tests.
using LayerTap = std::function<void(const Plane& plane, const ChannelScales& scales, int n_channels)>;

// What the carrier decoder gives, as [frame][bin], before it is scaled.
std::vector<float> carrier_residual(const SilentCipherModel& model, const CipherSpectrum& spectrum, const SilentCipherMessage& message,
                                    int n_threads, const LayerTap& tap = {});

// Takes the residual, scaled, from the magnitudes.
void apply_residual(CipherSpectrum& spectrum, std::vector<float> residual, int n_message_bins, double sdr_db);

// [frame][symbol]
std::vector<float> message_logits(const SilentCipherModel& model, const CipherSpectrum& spectrum, int n_threads, const LayerTap& tap = {});

}  // namespace csm::cipher
