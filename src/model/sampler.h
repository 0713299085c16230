// The one definition of how a code is drawn from its logits. Backends may do the same on their device; they must give
// the same codes but for near-ties.
//
// filter (logit and stop bias, penalties, minimum length, mask, temperature, top-k keeping ties, top-p, min-p), then
// argmax(logit + gumbel(seed, stream, frame, codebook, id)). The noise belongs to the id, so the draw does not depend on order, batch,
// chunking or backend. Stateless but for scratch memory: one Sampler per thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <csm/speech.h>

namespace csm {

// All the randomness of one frame of one sequence.
struct NoiseKey {
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t frame = 0;
};

// Standard Gumbel noise of one id: -log(-log(u)), u from Philox4x32-10 (Salmon et al. 2011) at (stream, frame, codebook, id).
float gumbel_noise(const NoiseKey& key, uint32_t codebook, uint32_t id);

// What limits a draw besides the options.
struct DrawContext {
  int codebook = 0;                  // which one is drawn: biases and schedules look at it
  std::span<const int32_t> history;  // ids drawn before for this codebook, oldest first, already cut to the window
  int n_valid_codes = 0;             // ids at or above are masked; 0 = no mask
  bool suppress_end = false;         // minimum length: id 0 cannot be drawn
  float end_bias = 0;                // added to the logit of id 0
};

// The temperature and the top-k of a codebook: those of the schedule where there is one.
float temperature_at(const SamplingOptions& options, int codebook);
int top_k_at(const SamplingOptions& options, int codebook);

// The bias of the end at a codebook, given the codes of the frame that are already drawn.
float end_bias_at(float stop_bias, int codebook, std::span<const int32_t> codes_before);

// Biases and schedules against the model they are for. Errors: kInvalidArgument with what, field, range and value.
void check_sampling(const SamplingOptions& options, const char* what, int n_codebooks, int audio_vocab);

class Sampler {
 public:
  // The filtered logits, -inf where an id cannot be drawn, divided by the temperature. In place. Greedy (temperature 0)
  // applies bias, penalties and masks only.
  void filter(std::span<float> logits, const SamplingOptions& options, const DrawContext& context);

  // Filters a copy of the logits and draws. Ties go to the lowest id.
  int32_t draw(std::span<const float> logits, const SamplingOptions& options, const DrawContext& context, const NoiseKey& key);

 private:
  std::vector<float> work_;
  std::vector<int32_t> order_;
  std::vector<float> sorted_;
};

}  // namespace csm
