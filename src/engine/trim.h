// Silence around speech, made to last as long as asked for.
//
// Place in the flow: synthesis -> here -> the result. Samples that may be trailing silence wait until sound follows or
// the speech is over, so any chunking gives the same samples. Inference thread.
#pragma once

#include <span>
#include <vector>

#include <csm/speech.h>

#include "engine/guard.h"

namespace csm {

class SilenceTrim {
 public:
  SilenceTrim(const TrimOptions& options, int sample_rate_hz);

  // Appends to out what is certain to stay.
  void push(std::span<const float> samples, std::vector<float>& out);
  // The end: the silence that stays.
  void finish(std::vector<float>& out);
  // For another attempt.
  void restart();

 private:
  void take_block(std::span<const float> block, std::vector<float>& out);

  TrimOptions options_;
  double rate_hz_ = 0;
  size_t block_samples_ = 0;
  QuietMeter meter_;
  bool has_sound_ = false;
  std::vector<float> block_;  // not yet complete
  std::vector<float> quiet_;  // at the end so far
};

}  // namespace csm
