#include "model/code_drawer.h"

#include <algorithm>

namespace csm {

int32_t CodeDrawer::draw(const FrameRequest& request, const ModelSpec& spec, int codebook,
                         std::span<const float> logits) {
  if (request.tap != nullptr) request.tap->on_logits(codebook, logits);
  const auto column = static_cast<size_t>(codebook);
  if (!request.forced.empty()) return request.forced[column];
  const SamplingOptions& options = request.sampling->at(codebook);
  const auto n_codebooks = static_cast<size_t>(spec.n_codebooks);
  const size_t n_frames = request.history.size() / n_codebooks;
  const size_t window = options.penalty_window > 0 ? static_cast<size_t>(options.penalty_window) : n_frames;
  history_.clear();
  for (size_t i = n_frames - std::min(n_frames, window); i < n_frames; ++i) {
    history_.push_back(request.history[i * n_codebooks + column]);
  }
  DrawContext context;
  context.codebook = codebook;
  context.history = history_;
  context.n_valid_codes = spec.n_valid_codes();
  context.suppress_end = request.suppress_end && codebook == 0;
  context.end_bias = end_bias_at(request.stop_bias, codebook, request.out.first(column));
  return sampler_.draw(logits, options, context, request.noise);
}

}  // namespace csm
