#include "prompt/prompt.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/fail.h"
#include "base/utf8.h"

namespace csm {
namespace {

// The id that opens or closes a text: the model's own, else the tokenizer's.
int32_t marker_id(int configured, int32_t named, const char* token, const ModelSpec& spec) {
  const int32_t id = configured >= 0 ? configured : named;
  if (id < 0) {
    fail(ErrorCode::kInvalidData,
         "the tokenizer has no token '{}', which every text needs; use the tokenizer.json that belongs to the model",
         token);
  }
  if (id >= spec.text_vocab) {
    fail(ErrorCode::kInvalidData,
         "the id {} of '{}' is outside the model's text vocabulary 0..{}; use the tokenizer.json that belongs "
         "to the model",
         id, token, spec.text_vocab - 1);
  }
  return id;
}

}  // namespace

PromptBuilder::PromptBuilder(const ModelSpec& spec, const Tokenizer& tokenizer) : spec_(spec), tokenizer_(tokenizer) {
  if (spec.n_codebooks < 1 || spec.text_vocab < 1) {
    fail(ErrorCode::kInvalidArgument,
         "this model has no language model ({} codebooks, {} text ids), so it cannot speak text; use a "
         "CSM checkpoint",
         spec.n_codebooks, spec.text_vocab);
  }
  if (tokenizer.n_ids() > spec.text_vocab) {
    fail(ErrorCode::kInvalidData,
         "the tokenizer has ids up to {}, the model's text vocabulary ends at {}; use the tokenizer.json that "
         "belongs to the model",
         tokenizer.n_ids() - 1, spec.text_vocab - 1);
  }
  bos_ = marker_id(spec.text_bos_id, tokenizer.bos_id(), "<|begin_of_text|>", spec);
  eos_ = marker_id(spec.text_eos_id, tokenizer.eos_id(), "<|end_of_text|>", spec);
  prompt_.n_columns = spec.n_codebooks + 1;
}

int32_t* PromptBuilder::append_row(int masked_from, int masked_to) {
  const auto n_columns = static_cast<size_t>(prompt_.n_columns);
  const size_t start = prompt_.frames.size();
  prompt_.frames.resize(start + n_columns, 0);
  prompt_.mask.resize(start + n_columns, 0);
  for (int column = masked_from; column < masked_to; ++column) prompt_.mask[start + static_cast<size_t>(column)] = 1;
  return prompt_.frames.data() + start;
}

void PromptBuilder::add_text(int speaker, std::string_view text) {
  // Checked here as well, so that the message counts in the caller's text and not behind the speaker's mark.
  const size_t invalid = first_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    fail(ErrorCode::kInvalidArgument, "the text is not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8", invalid,
         static_cast<unsigned char>(text[invalid]));
  }
  // One string: the bracket and the first word may share a token.
  const std::vector<int32_t> ids = tokenizer_.encode(fmt::format("[{}]{}", speaker, text));
  const int text_column = spec_.n_codebooks;
  const auto add_token = [&](int32_t id) { append_row(text_column, text_column + 1)[text_column] = id; };
  add_token(bos_);
  for (const int32_t id : ids) add_token(id);
  add_token(eos_);
  segment_ends_.push_back(prompt_.n_positions());
}

void PromptBuilder::add_audio(std::span<const int32_t> codes, int n_codebooks) {
  if (n_codebooks != spec_.n_codebooks || codes.size() % static_cast<size_t>(spec_.n_codebooks) != 0) {
    fail(ErrorCode::kInvalidArgument,
         "context audio must have {} codes per frame; found {} codes in frames of {}; encode it with this "
         "model's codec and {} codebooks",
         spec_.n_codebooks, codes.size(), n_codebooks, spec_.n_codebooks);
  }
  const auto width = static_cast<size_t>(n_codebooks);
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] >= 0 && codes[i] < spec_.n_valid_codes()) continue;
    fail(ErrorCode::kInvalidArgument,
         "context audio has the code {} in codebook {} of frame {}; expected 0..{}; encode it with this "
         "model's codec",
         codes[i], i % width, i / width, spec_.n_valid_codes() - 1);
  }
  for (size_t frame = 0; frame < codes.size(); frame += width) {
    int32_t* row = append_row(0, n_codebooks);
    for (size_t codebook = 0; codebook < width; ++codebook) row[codebook] = codes[frame + codebook];
  }
  append_row(0, n_codebooks);
  segment_ends_.push_back(prompt_.n_positions());
}

Prompt PromptBuilder::take() {
  Prompt result = std::exchange(prompt_, Prompt{});
  prompt_.n_columns = result.n_columns;
  segment_ends_.clear();
  return result;
}

}  // namespace csm
