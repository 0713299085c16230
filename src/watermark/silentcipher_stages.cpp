#include "watermark/silentcipher_stages.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "io/tensor_file.h"
#include "watermark/silentcipher_message.h"

namespace csm::cipher {
namespace {

// Runs the layers of a stack on one plane. first: what the first one reads.
ChannelScales run_stack(const SilentCipherStack& stack, const RowLoader& first, Plane& plane, int n_threads, const LayerTap& tap) {
  ChannelScales scales;
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    const GatedLayer& layer = stack.layers[i];
    const int n_in = layer.weights.n_in;
    const ChannelScales before = scales;
    const RowLoader next = [&plane, &before, n_in](int row, float* out) { load_normalised(plane, row, before, n_in, n_in, out); };
    scales = run_layer(layer, i == 0 ? first : next, plane, n_threads);
    if (tap) tap(plane, scales, layer.weights.n_out);
  }
  return scales;
}

int widest(std::initializer_list<const SilentCipherStack*> stacks) {
  int n = 1;
  for (const SilentCipherStack* stack : stacks) {
    for (const GatedLayer& layer : stack->layers) n = std::max(n, layer.weights.n_out);
  }
  return n;
}

// [bin][frame]
std::vector<float> magnitudes_of(const CipherSpectrum& spectrum, int n_bins) {
  std::vector<float> magnitudes(static_cast<size_t>(n_bins) * static_cast<size_t>(spectrum.n_frames));
  for (int bin = 0; bin < n_bins; ++bin) {
    for (int t = 0; t < spectrum.n_frames; ++t) {
      magnitudes[static_cast<size_t>(bin) * static_cast<size_t>(spectrum.n_frames) + static_cast<size_t>(t)] = std::abs(spectrum.at(t, bin));
    }
  }
  return magnitudes;
}

}  // namespace

SilentCipherModel read_silentcipher_model(const SilentCipherFiles& files) {
  SilentCipherModel model;
  model.encoder = read_silentcipher_stack(read_tensor_file(files.encoder), files.encoder);
  const int n_maps = model.encoder.layers.back().weights.n_out;
  model.carrier_decoder = read_carrier_decoder(read_tensor_file(files.carrier_decoder), n_maps, files.carrier_decoder);
  if (!files.message_decoder.empty()) {
    model.message_decoder = read_silentcipher_stack(read_tensor_file(files.message_decoder), files.message_decoder);
  }
  check_silentcipher_model(model, files.encoder);
  return model;
}

void check_silentcipher_model(const SilentCipherModel& model, const std::string& where) {
  const SilentCipherStack& messages = model.message_decoder;
  const bool maps_fit = model.encoder.n_linear_in == kCipherSymbols && model.encoder.n_linear_out >= 1 &&
                        model.encoder.n_linear_out <= kCipherBins && model.carrier_decoder.layers.back().weights.n_out == 1;
  const bool messages_fit = messages.layers.empty() || (messages.layers.back().weights.n_out == kCipherSymbols && messages.n_linear_out == 1 &&
                                                        messages.n_linear_in == model.encoder.n_linear_out);
  if (maps_fit && messages_fit) return;
  fail(ErrorCode::kInvalidData,
       "'{}' and the files beside it are not the weights of SilentCipher at 44.1 kHz: expected a message of {} symbols over at most {} bins, one "
       "map of the carrier decoder, and as many bins in the message decoder",
       where, kCipherSymbols, kCipherBins);
}

std::vector<float> carrier_residual(const SilentCipherModel& model, const CipherSpectrum& spectrum, const SilentCipherMessage& message,
                                    int n_threads, const LayerTap& tap) {
  const int n_frames = spectrum.n_frames;
  const auto frames = static_cast<size_t>(n_frames);
  const std::vector<float> magnitudes = magnitudes_of(spectrum, kCipherBins);
  const auto magnitude_row = [&](int row) { return magnitudes.data() + static_cast<size_t>(row) * frames; };
  Plane plane(kCipherBins, n_frames, widest({&model.encoder, &model.carrier_decoder}));
  const ChannelScales maps = run_stack(
      model.encoder, [&](int row, float* out) { std::copy_n(magnitude_row(row), frames, out); }, plane, n_threads, tap);

  // The carrier decoder reads the maps, the magnitude and the message's pattern, which lie side by side.
  const std::array<int, kCipherTile> symbols = cipher_symbols(message);
  const int n_maps = model.encoder.layers.back().weights.n_out, n_in = n_maps + 2;
  const RowLoader joined = [&](int row, float* out) {
    load_normalised(plane, row, maps, n_maps, n_in, out);
    for (size_t t = 0; t < frames; ++t) {
      const auto n_symbols = static_cast<size_t>(kCipherSymbols), bin = static_cast<size_t>(row);
      float* const extra = out + t * static_cast<size_t>(n_in) + n_maps;
      extra[0] = magnitude_row(row)[t];
      extra[1] = row < model.encoder.n_linear_out ? model.encoder.linear[bin * n_symbols + static_cast<size_t>(symbols[t % kCipherTile])] +
                                                        model.encoder.linear_bias[bin]
                                                  : 0.f;
    }
  };
  const ChannelScales last = run_stack(model.carrier_decoder, joined, plane, n_threads, tap);
  std::vector<float> residual(frames * kCipherBins);
  const auto stride = last.scale.size();
  for (int row = 0; row < kCipherBins; ++row) {
    for (size_t t = 0; t < frames; ++t) {
      residual[t * kCipherBins + static_cast<size_t>(row)] = plane.row(row)[t * stride] * last.scale[0] + last.shift[0];
    }
  }
  return residual;
}

void apply_residual(CipherSpectrum& spectrum, std::vector<float> residual, int n_message_bins, double sdr_db) {
  double power = 0;
  for (const std::complex<float>& value : spectrum.values) power += std::norm(std::complex<double>(value));
  const double rms = std::sqrt(power / static_cast<double>(spectrum.values.size()));
  for (int t = 0; t < spectrum.n_frames; ++t) {
    float* const frame = residual.data() + static_cast<size_t>(t) * kCipherBins;
    double energy = 0;
    for (int bin = 0; bin < n_message_bins; ++bin) energy += static_cast<double>(frame[bin]) * frame[bin];
    if (energy == 0) continue;
    const double scale = rms / (std::sqrt(energy / kCipherBins) * std::pow(10, sdr_db / 20));
    for (int bin = 0; bin < n_message_bins; ++bin) {
      std::complex<float>& value = spectrum.at(t, bin);
      const double magnitude = std::abs(std::complex<double>(value));
      if (magnitude == 0) continue;
      const double left = std::max(0.0, magnitude - scale * std::abs(static_cast<double>(frame[bin])));
      value *= static_cast<float>(left / magnitude);  // the phase stays
    }
  }
}

std::vector<float> message_logits(const SilentCipherModel& model, const CipherSpectrum& spectrum, int n_threads, const LayerTap& tap) {
  const SilentCipherStack& decoder = model.message_decoder;
  const auto frames = static_cast<size_t>(spectrum.n_frames);
  const std::vector<float> magnitudes = magnitudes_of(spectrum, decoder.n_linear_in);
  Plane plane(decoder.n_linear_in, spectrum.n_frames, widest({&decoder}));
  const ChannelScales last = run_stack(
      decoder, [&](int row, float* out) { std::copy_n(magnitudes.data() + static_cast<size_t>(row) * frames, frames, out); }, plane, n_threads,
      tap);
  std::vector<double> sums(frames * kCipherSymbols, decoder.linear_bias[0]);
  for (int row = 0; row < decoder.n_linear_in; ++row) {
    const double weight = decoder.linear[static_cast<size_t>(row)];
    const float* const values = plane.row(row);
    for (size_t t = 0; t < frames; ++t) {
      for (size_t s = 0; s < kCipherSymbols; ++s) {
        sums[t * kCipherSymbols + s] += weight * static_cast<double>(values[t * last.scale.size() + s] * last.scale[s] + last.shift[s]);
      }
    }
  }
  return {sums.begin(), sums.end()};
}

}  // namespace csm::cipher
