#include "backends/mlx/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace csm::mlx_backend {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

bool is_covered(const SamplingOptions& options, int vocab) {
  const bool no_penalty =
      options.repetition_penalty == 1 && options.frequency_penalty == 0 && options.presence_penalty == 0;
  const bool plain_bias = std::all_of(options.logit_bias.begin(), options.logit_bias.end(), [&](const LogitBias& bias) {
    return bias.id >= 0 && bias.id < vocab && std::isfinite(bias.value);
  });
  return no_penalty && plain_bias && options.top_p >= 1 && options.min_p <= 0;
}

bool is_alike(const FrameSampling& a, const FrameSampling& b, int n_codebooks) {
  for (int codebook = 0; codebook < n_codebooks; ++codebook) {
    const SamplingOptions& x = a.at(codebook);
    const SamplingOptions& y = b.at(codebook);
    if (temperature_at(x, codebook) != temperature_at(y, codebook)) return false;
    if (top_k_at(x, codebook) != top_k_at(y, codebook)) return false;
  }
  return true;
}

// What a request adds to the logits of one codebook besides the mask.
void add_biases(const FrameRequest& request, int codebook, std::span<float> row) {
  for (const LogitBias& bias : request.sampling->at(codebook).logit_bias) {
    if (bias.codebook == LogitBias::kAllCodebooks || bias.codebook == codebook)
      row[static_cast<size_t>(bias.id)] += bias.value;
  }
  if (codebook > 0) return;
  row[0] += request.stop_bias;
  if (request.suppress_end) row[0] = kExcluded;
}

// The first request that samples.
const FrameRequest* first_free(std::span<const FrameRequest> batch) {
  const auto found =
      std::find_if(batch.begin(), batch.end(), [](const FrameRequest& request) { return request.forced.empty(); });
  return found == batch.end() ? nullptr : &*found;
}

// One value of each codebook and sequence, taken by index.
mx::array slab(const mx::array& x, int index, const mx::Stream& s) {
  mx::Shape start(x.ndim(), 0);
  mx::Shape stop = x.shape();
  start[0] = index;
  stop[0] = index + 1;
  mx::Shape shape(x.shape().begin() + 1, x.shape().end());
  return mx::reshape(mx::slice(x, start, stop, s), shape, s);
}

}  // namespace

bool SamplingPlan::covers(std::span<const FrameRequest> batch, const ModelSpec& spec) {
  const FrameRequest* first = first_free(batch);
  if (first == nullptr) return true;
  return std::all_of(batch.begin(), batch.end(), [&](const FrameRequest& request) {
    if (!request.forced.empty()) return true;
    const FrameSampling& sampling = *request.sampling;
    return is_covered(sampling.backbone, spec.audio_vocab) && is_covered(sampling.depth, spec.audio_vocab) &&
           is_alike(sampling, *first->sampling, spec.n_codebooks) && request.stop_bias <= 0 &&
           !(request.suppress_end && spec.n_valid_codes() < 2);
  });
}

SamplingPlan::SamplingPlan(std::span<const FrameRequest> batch, const ModelSpec& spec, const mx::Stream& stream)
    : stream_(stream) {
  const auto n_batch = static_cast<int>(batch.size());
  const FrameRequest* first = first_free(batch);
  const bool any_forced =
      std::any_of(batch.begin(), batch.end(), [](const FrameRequest& request) { return !request.forced.empty(); });
  if (any_forced) {
    std::vector<int32_t> codes;
    for (int codebook = 0; codebook < spec.n_codebooks; ++codebook) {
      for (const FrameRequest& request : batch) {
        codes.push_back(request.forced.empty() ? 0 : request.forced[static_cast<size_t>(codebook)]);
      }
    }
    forced_ = to_array(codes, {spec.n_codebooks, n_batch});
  }
  if (first == nullptr) return;
  if (any_forced) {
    std::vector<int32_t> flags;
    for (const FrameRequest& request : batch) flags.push_back(request.forced.empty() ? 0 : 1);
    is_forced_ = mx::astype(to_array(flags, {n_batch}), mx::bool_, stream_);
  }
  for (int codebook = 0; codebook < spec.n_codebooks; ++codebook)
    parts_.push_back(make_part(batch, spec, codebook));
  if (std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.temperature == 0; })) return;
  const auto vocab = static_cast<size_t>(spec.audio_vocab);
  std::vector<float> noise(static_cast<size_t>(spec.n_codebooks) * batch.size() * vocab);
  float* out = noise.data();
  for (int codebook = 0; codebook < spec.n_codebooks; ++codebook) {
    for (const FrameRequest& request : batch) {
      const bool is_used = request.forced.empty() && parts_[static_cast<size_t>(codebook)].temperature != 0;
      // Ids without an entry are never drawn and need no noise.
      for (int id = 0; is_used && id < spec.n_valid_codes(); ++id) {
        out[id] = gumbel_noise(request.noise, static_cast<uint32_t>(codebook), static_cast<uint32_t>(id));
      }
      out += vocab;
    }
  }
  noise_ = to_array(noise, {spec.n_codebooks, n_batch, spec.audio_vocab});
}

SamplingPlan::Part SamplingPlan::make_part(std::span<const FrameRequest> batch, const ModelSpec& spec,
                                           int codebook) const {
  const SamplingOptions& options = first_free(batch)->sampling->at(codebook);
  Part part;
  part.temperature = temperature_at(options, codebook);
  const int top_k = top_k_at(options, codebook);
  part.top_k = top_k > 0 && top_k < spec.audio_vocab ? top_k : 0;
  const bool differs = std::any_of(batch.begin(), batch.end(), [&](const FrameRequest& request) {
    const bool at_end = codebook == 0 && (request.suppress_end || request.stop_bias != 0);
    return request.forced.empty() && (at_end || !request.sampling->at(codebook).logit_bias.empty());
  });
  if (!differs && spec.n_valid_codes() == spec.audio_vocab) return part;
  const auto vocab = static_cast<size_t>(spec.audio_vocab);
  const size_t n_rows = differs ? batch.size() : 1;
  std::vector<float> bias(n_rows * vocab);
  for (size_t row = 0; row < n_rows; ++row) {
    float* out = bias.data() + row * vocab;
    if (differs && batch[row].forced.empty()) add_biases(batch[row], codebook, {out, vocab});
    std::fill(out + spec.n_valid_codes(), out + vocab, kExcluded);
  }
  part.bias = to_array(bias, {static_cast<int>(n_rows), spec.audio_vocab});
  return part;
}

mx::array SamplingPlan::choose(int codebook, const mx::array& logits) const {
  if (forced_ && !is_forced_) return slab(*forced_, codebook, stream_);
  const Part& part = parts_[static_cast<size_t>(codebook)];
  mx::array scores = part.bias ? mx::add(logits, *part.bias, stream_) : logits;
  if (part.temperature != 0) {
    scores = mx::divide(scores, mx::array(part.temperature), stream_);
    const mx::array noisy = mx::add(scores, slab(*noise_, codebook, stream_), stream_);
    if (part.top_k > 0) {
      const int vocab = logits.shape(1);
      const int kth = vocab - part.top_k;
      const mx::array sorted = mx::partition(scores, kth, 1, stream_);
      const mx::array threshold = mx::slice(sorted, {0, kth}, {logits.shape(0), kth + 1}, stream_);
      scores = mx::where(mx::greater_equal(scores, threshold, stream_), noisy, mx::array(kExcluded), stream_);
    } else {
      scores = noisy;
    }
  }
  const mx::array drawn = mx::astype(mx::argmax(scores, 1, false, stream_), mx::int32, stream_);
  return is_forced_ ? mx::where(*is_forced_, slab(*forced_, codebook, stream_), drawn, stream_) : drawn;
}

}  // namespace csm::mlx_backend
