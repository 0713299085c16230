// Turns + tokens + codes -> the backbone's prompt frames.
//
// For each turn of the context: BOS, "[speaker]text", EOS as text rows, then its audio frames and one all-zero frame;
// at the end the text rows of the new utterance (CSM generator.py; docs of the prompt: spec section 3). Not
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <csm/engine.h>

#include "model/spec.h"
#include "text/tokenizer.h"

namespace csm {

class PromptBuilder {
 public:
  // Both are borrowed. Errors: kInvalidData when the tokenizer has ids outside the text table or lacks BOS / EOS.
  PromptBuilder(const ModelSpec& spec, const Tokenizer& tokenizer);

  // BOS + "[speaker]text" + EOS, one row per token.
  void add_text(int speaker, std::string_view text);
  // codes [n, n_codebooks] as audio rows, then the all-zero end row. Errors: kInvalidArgument for a code outside the
  // codec.
  void add_audio(std::span<const int32_t> codes, int n_codebooks);

  int n_positions() const { return prompt_.n_positions(); }
  // Where each text and each audio ended. Prefill computes such segments one by one, so that those that two prompts share from
  // their start are the same work, bit for bit, and can be kept.
  const std::vector<int>& segment_ends() const { return segment_ends_; }
  // Leaves the builder empty.
  Prompt take();

 private:
  int32_t* append_row(int masked_from, int masked_to);
  const ModelSpec& spec_;
  const Tokenizer& tokenizer_;
  int32_t bos_ = -1;
  int32_t eos_ = -1;
  Prompt prompt_;
  std::vector<int> segment_ends_;
};

}  // namespace csm
