// How far a trace is from a golden file: the numbers that say whether two computations agree.
//
// Place in the flow: csm trace -> Comparison -> table or JSON. Stateless.
#pragma once

#include <csm/engine.h>

#include <string>
#include <utility>
#include <vector>

#include "output.h"

namespace csm::app {

struct LogitsComparison {
  int n_rows = 0;
  double max_difference = 0;
  double mean_kl = 0;         // KL(golden || ours) in nats
  double top1_agreement = 0;  // share of rows whose greatest logit has the same id
};

struct Comparison {
  std::string golden;
  int n_frames = 0;  // as many as both have
  int n_ids = 0;     // logits compared in each row; fewer than the vocabulary when the golden file holds a selection
  int audio_vocab = 0;
  std::vector<LogitsComparison> codebooks;
  LogitsComparison total;
  int first_different_frame = -1;  // whose codes differ; rows behind it have another past and are not compared
  int first_different_codebook = -1;
  std::vector<std::pair<std::string, double>>
      max_differences;  // ("hidden", 1e-6), ("lse", ...): what else the file holds
};

// Golden files may hold `logits` [n, n_codebooks, audio_vocab] or `logits_stride64` (ids 0, 64, 128, ...), and
// `hidden`, `codes`, `lse`, `chosen`, `top_idx`, `top_val`. Errors: kInvalidData when they do not belong to this model
// or hold no logits.
Comparison compare_with_golden(const Trace& trace, const std::string& path);

std::string to_text(const Comparison& comparison);
Json to_json(const Comparison& comparison);

}  // namespace csm::app
