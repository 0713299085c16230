// One code of one sequence's frame, from its logits: what every backend calls where it does not draw on its device.
//
// Place in the flow: backend -> here -> Sampler. Forced codes, the tap, the history that penalties see, minimum length and
// stop bias are settled here, so that no backend has its own idea of them. Scratch memory only: one for each thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace csm {

class CodeDrawer {
 public:
  // The codebooks before this one must already be in request.out. Errors: those of Sampler::draw.
  int32_t draw(const FrameRequest& request, const ModelSpec& spec, int codebook, std::span<const float> logits);

 private:
  Sampler sampler_;
  std::vector<int32_t> history_;
};

}  // namespace csm
