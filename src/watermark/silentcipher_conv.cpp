#include "watermark/silentcipher_conv.h"

#include <cstring>

namespace csm::cipher {
namespace {

// Vectors of the compiler's own; on a processor whose registers are narrower it uses several.
using Floats = float __attribute__((vector_size(4 * kConvLanes)));
using Ints = int __attribute__((vector_size(4 * kConvLanes)));

constexpr size_t kBlockFloats = 2 * kConvLanes;

// References instead of values, since how such a vector is passed depends on the processor.
[[gnu::always_inline]] inline void load(Floats& to, const float* from) { std::memcpy(&to, from, sizeof to); }

// x <- 1 / (1 + exp(-x)). exp by its Taylor polynomial on [-ln2/2, ln2/2] and a power of two, to 2e-7.
[[gnu::always_inline]] inline void sigmoid(Floats& x) {
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f, kRound = 12582912.f;  // 1.5 * 2^23
  constexpr float kLimit = 87;
  Floats y = -x;
  y = y > kLimit ? Floats{} + kLimit : y;
  y = y < -kLimit ? Floats{} - kLimit : y;
  const Floats shifted = y * kLog2E + kRound;  // its low bits are the nearest integer
  const Floats n = shifted - kRound;
  const Floats r = (y - n * kLn2High) - n * kLn2Low;
  Floats p = r * (1.f / 5040) + (1.f / 720);
  p = p * r + (1.f / 120);
  p = p * r + (1.f / 24);
  p = p * r + (1.f / 6);
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &power, sizeof scale);
  x = 1.f / (1.f + p * scale);
}

[[gnu::always_inline]] inline void store_gated(const Floats& c, const Floats& gate, float* out) {
  Floats g = gate;
  sigmoid(g);
  const Floats product = c * g;
  std::memcpy(out, &product, sizeof product);
}

// kConvPositions frames of one block of output channels: two accumulators a frame, which all stay in registers.
[[gnu::always_inline]] inline void gated_tile(const float* weights, const float* bias, std::span<const float* const> rows, size_t first,
                                              size_t n_in, size_t side, float* out, size_t out_stride) {
  Floats c0, g0;
  load(c0, bias);
  load(g0, bias + kConvLanes);
  Floats c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, g1 = g0, g2 = g0, g3 = g0, g4 = g0, g5 = g0;
  for (size_t row = 0; row < side; ++row) {
    // Taps of one row follow each other in memory, as do the channels within a tap.
    const float* x = rows[row] + first * n_in;
    for (size_t i = 0; i < side * n_in; ++i, ++x, weights += kBlockFloats) {
      Floats wc, wg;
      load(wc, weights);
      load(wg, weights + kConvLanes);
      c0 += wc * x[0];
      g0 += wg * x[0];
      c1 += wc * x[n_in];
      g1 += wg * x[n_in];
      c2 += wc * x[2 * n_in];
      g2 += wg * x[2 * n_in];
      c3 += wc * x[3 * n_in];
      g3 += wg * x[3 * n_in];
      c4 += wc * x[4 * n_in];
      g4 += wg * x[4 * n_in];
      c5 += wc * x[5 * n_in];
      g5 += wg * x[5 * n_in];
    }
  }
  store_gated(c0, g0, out);
  store_gated(c1, g1, out + out_stride);
  store_gated(c2, g2, out + 2 * out_stride);
  store_gated(c3, g3, out + 3 * out_stride);
  store_gated(c4, g4, out + 4 * out_stride);
  store_gated(c5, g5, out + 5 * out_stride);
}

[[gnu::always_inline]] inline void gated_row_body(const GatedWeights& weights, std::span<const float* const> rows, int n_frames,
                                                  float* out) {
  const auto n_in = static_cast<size_t>(weights.n_in), side = static_cast<size_t>(weights.side);
  const auto stride = static_cast<size_t>(padded_channels(weights.n_out));
  const size_t block_weights = side * side * n_in * kBlockFloats;
  for (size_t block = 0; block < stride / kConvLanes; ++block) {
    for (size_t first = 0; first < static_cast<size_t>(n_frames); first += kConvPositions) {
      gated_tile(weights.packed.data() + block * block_weights, weights.bias.data() + block * kBlockFloats, rows, first, n_in, side,
                 out + first * stride + block * kConvLanes, stride);
    }
  }
}

using GatedRow = void (*)(const GatedWeights&, std::span<const float* const>, int, float*);

void gated_row_any(const GatedWeights& weights, std::span<const float* const> rows, int n_frames, float* out) {
  gated_row_body(weights, rows, n_frames, out);
}

#if defined(__x86_64__)
// The same code for processors that have wide registers and multiply and add in one.
[[gnu::target("avx2,fma")]] void gated_row_avx2(const GatedWeights& weights, std::span<const float* const> rows, int n_frames, float* out) {
  gated_row_body(weights, rows, n_frames, out);
}

GatedRow choose_gated_row() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? gated_row_avx2 : gated_row_any;
}
#else
GatedRow choose_gated_row() { return gated_row_any; }
#endif

}  // namespace

GatedWeights pack_gated(int n_in, int n_out, int side, std::span<const float> conv, std::span<const float> conv_bias,
                        std::span<const float> gate, std::span<const float> gate_bias) {
  GatedWeights weights;
  weights.n_in = n_in;
  weights.n_out = n_out;
  weights.side = side;
  const auto taps = static_cast<size_t>(side * side), inputs = static_cast<size_t>(n_in);
  const auto n_blocks = static_cast<size_t>(padded_channels(n_out) / kConvLanes);
  weights.packed.assign(n_blocks * taps * inputs * kBlockFloats, 0.f);
  weights.bias.assign(n_blocks * kBlockFloats, 0.f);
  for (size_t out = 0; out < static_cast<size_t>(n_out); ++out) {
    const size_t block = out / kConvLanes, lane = out % kConvLanes;
    weights.bias[block * kBlockFloats + lane] = conv_bias[out];
    weights.bias[block * kBlockFloats + kConvLanes + lane] = gate_bias[out];
    for (size_t in = 0; in < inputs; ++in) {
      for (size_t tap = 0; tap < taps; ++tap) {
        const size_t to = ((block * taps + tap) * inputs + in) * kBlockFloats + lane;
        weights.packed[to] = conv[(out * inputs + in) * taps + tap];
        weights.packed[to + kConvLanes] = gate[(out * inputs + in) * taps + tap];
      }
    }
  }
  return weights;
}

void gated_row(const GatedWeights& weights, std::span<const float* const> rows, int n_frames, float* out) {
  static const GatedRow best = choose_gated_row();
  best(weights, rows, n_frames, out);
}

}  // namespace csm::cipher
