#include "audio/rate_converter.h"

#include <soxr.h>

#include <algorithm>

#include "base/fail.h"

namespace csm {
namespace {

constexpr size_t kBlockSamples = 8'192;

}  // namespace

RateConverter::RateConverter(int from_hz, int to_hz) : from_hz_(from_hz), to_hz_(to_hz) {
  if (from_hz == to_hz) return;
  const soxr_io_spec_t floats = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
  const soxr_runtime_spec_t one_thread = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  soxr_ = soxr_create(from_hz, to_hz, 1, &error, &floats, &quality, &one_thread);
  if (error != nullptr) fail(ErrorCode::kUnsupported, "cannot convert from {} to {} Hz: {}", from_hz, to_hz, error);
}

RateConverter::~RateConverter() { soxr_delete(soxr_); }

// A null pointer tells libsoxr that nothing follows.
void RateConverter::process(const float* samples, size_t n_samples, std::vector<float>& out) {
  float block[kBlockSamples];
  for (;;) {
    size_t n_used = 0;
    size_t n_made = 0;
    const soxr_error_t error = soxr_process(soxr_, samples, n_samples, &n_used, block, kBlockSamples, &n_made);
    if (error != nullptr) fail(ErrorCode::kInternal, "cannot convert from {} to {} Hz: {}", from_hz_, to_hz_, error);
    if (samples != nullptr) samples += n_used;
    n_samples -= n_used;
    out.insert(out.end(), block, block + n_made);
    n_out_ += static_cast<int64_t>(n_made);
    if (n_samples == 0 && n_made < kBlockSamples) return;
  }
}

void RateConverter::push(std::span<const float> samples, std::vector<float>& out) {
  n_in_ += static_cast<int64_t>(samples.size());
  if (soxr_ == nullptr) {
    out.insert(out.end(), samples.begin(), samples.end());
  } else if (!samples.empty()) {
    process(samples.data(), samples.size(), out);
  }
}

void RateConverter::finish(std::vector<float>& out) {
  if (soxr_ == nullptr || n_in_ == 0) return;
  process(nullptr, 0, out);
  const int64_t n_wanted = (n_in_ * to_hz_ + from_hz_ - 1) / from_hz_;  // libsoxr rounds to the nearest
  const int64_t n_kept = static_cast<int64_t>(out.size()) + n_wanted - n_out_;
  out.resize(static_cast<size_t>(std::max<int64_t>(n_kept, 0)));
  n_out_ = n_wanted;
}

}  // namespace csm
