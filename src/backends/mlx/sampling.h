// Drawing codes inside the graph of a frame: the part of the sampler's definition (model/sampler.h) that devices do
// well.
//
// Covered: greedy, temperature and top-k (keeping ties) with their schedules, the mask of ids without an entry, minimum
// length, finite biases, a stop bias that only codebook 0 feels, forced codes. The Gumbel noise is the sampler's own,
// computed on the host for the whole frame. Not covered (the host then samples, codebook by codebook): penalties, top-p,
// min-p, a stop bias above 0, options that differ within the batch. One frame's plan; inference thread.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backends/mlx/device.h"
#include "model/model.h"

namespace csm::mlx_backend {

class SamplingPlan {
 public:
  // Whether a plan for this batch gives what the sampler would.
  static bool covers(std::span<const FrameRequest> batch, const ModelSpec& spec);

  SamplingPlan(std::span<const FrameRequest> batch, const ModelSpec& spec, const mx::Stream& stream);

  // [batch, audio vocabulary] -> [batch] int32. Ties go to the lowest id.
  mx::array choose(int codebook, const mx::array& logits) const;

 private:
  struct Part {
    float temperature = 0;
    int top_k = 0;
    std::optional<mx::array> bias;  // [batch or 1, vocabulary]: added; -inf where an id cannot be drawn
  };
  Part make_part(std::span<const FrameRequest> batch, const ModelSpec& spec, int codebook) const;

  mx::Stream stream_;
  std::vector<Part> parts_;             // one for each codebook; empty: all codes are forced
  std::optional<mx::array> noise_;      // [n_codebooks, batch, vocabulary]
  std::optional<mx::array> forced_;     // [n_codebooks, batch]
  std::optional<mx::array> is_forced_;  // [batch]; unset: all are
};

}  // namespace csm::mlx_backend
