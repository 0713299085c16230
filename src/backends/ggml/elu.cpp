#include "backends/ggml/elu.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/fail.h"

namespace csm::ggml {
namespace {

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1) with x = n ln 2 + r: near 0 nothing cancels, since n is 0 there. The sign
// is taken apart by bits, not by comparing: compilers make vector code of loops over it then.
inline float elu(float x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f;  // few bits, so that n * kLn2High is exact
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kFarEnough = 40.0f;      // exp(-x) - 1 is -1 well before
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const auto bits = std::bit_cast<int32_t>(x);
  const int32_t is_negative = bits >> 31;  // all ones or zero
  const auto positive = std::bit_cast<float>(bits & ~is_negative);
  const int32_t magnitude = std::min(bits & is_negative & 0x7fffffff, std::bit_cast<int32_t>(kFarEnough));
  const float t = -std::bit_cast<float>(magnitude);
  const float shifted = t * kLog2E + kRounder;
  const float n = shifted - kRounder;
  const float r = t - n * kLn2High - n * kLn2Low;
  float p = 1.0f / 5040;  // Taylor series: |r| <= ln 2 / 2 leaves 2e-8 of r
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 1.0f / 2;
  p = p * r * r + r;
  const uint32_t exponent = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRounder);
  const auto scale = std::bit_cast<float>((exponent + 127u) << 23);
  return positive + (p * scale + (scale - 1.0f));
}

void elu_range(const float* x, float* y, int64_t n, int thread, int n_threads) {
  constexpr int64_t kBlock = 16;  // whole vectors for each thread
  const int64_t per_thread = (n / n_threads + kBlock) / kBlock * kBlock;
  const int64_t first = std::min(n, per_thread * thread);
  const int64_t last = std::min(n, first + per_thread);
  for (int64_t i = first; i < last; ++i) y[i] = elu(x[i]);
}

void compute_elu(ggml_tensor* y, const ggml_tensor* x, int thread, int n_threads, void*) {
  elu_range(static_cast<const float*>(x->data), static_cast<float*>(y->data), ggml_nelements(x), thread, n_threads);
}

void compute_elu_into(ggml_tensor* y, const ggml_tensor*, const ggml_tensor* x, int thread, int n_threads, void*) {
  elu_range(static_cast<const float*>(x->data), static_cast<float*>(y->data), ggml_nelements(x), thread, n_threads);
}

void require_contiguous(const ggml_tensor* tensor) {
  if (!ggml_is_contiguous(tensor) || tensor->type != GGML_TYPE_F32)
    fail(ErrorCode::kInternal, "ELU takes contiguous float32 tensors");
}

}  // namespace

ggml_tensor* cpu_elu(ggml_context* context, ggml_tensor* x) {
  require_contiguous(x);
  return ggml_map_custom1(context, x, compute_elu, GGML_N_TASKS_MAX, nullptr);
}

ggml_tensor* cpu_elu_into(ggml_context* context, ggml_tensor* place, ggml_tensor* x) {
  require_contiguous(x);
  require_contiguous(place);
  if (!ggml_are_same_shape(place, x)) fail(ErrorCode::kInternal, "ELU takes tensors of one shape");
  return ggml_map_custom2_inplace(context, place, x, compute_elu_into, GGML_N_TASKS_MAX, nullptr);
}

}  // namespace csm::ggml
