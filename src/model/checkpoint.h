// A checkpoint: spec + tensors under canonical (Hugging Face) names, whatever the file's layout was.
//
// Canonical names are those of CsmForConditionalGeneration: backbone_model.*, depth_decoder.*, lm_head.weight,
// embed_text_tokens.weight, and the codec without its prefix ("encoder.layers.0.conv.weight"). The manifest (manifest.h) lists
// them with shapes. Rows of attention q/k come half-split, as in Transformers, also from files that interleave them. Immutable after construction; shared by reference count; any thread may read.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/tensor.h"
#include "model/spec.h"

namespace csm {

// The audio embedding tables: one shared table unless the checkpoint is untied, in which case the two names differ.
inline constexpr const char* kBackboneAudioTable = "backbone_model.embed_tokens.embed_audio_tokens.weight";
inline constexpr const char* kDepthAudioTable = "depth_decoder.model.embed_tokens.weight";

// How GGUF files name the audio heads: rows of the first [rows, width], and of the others [n_codebooks - 1, rows, width].
inline constexpr const char* kFirstHeadRows = "lm_head.rows";
inline constexpr const char* kDepthHeadRows = "depth_decoder.codebooks_head.rows";

// Whether create() reads every weight once to find NaN and infinity (weights that a program made itself need not be read).
enum class WeightCheck { kValues, kShapesOnly };

class Checkpoint {
 public:
  // Resolves names, aliases and layouts, and checks against the manifest; one error lists everything that is missing,
  // misshapen, of a wrong type or non-finite, with unknown tensors (harmless alone: reported in warnings()).
  // sources: all tensors of the language model and codec files (they keep their own mappings alive).
  static std::shared_ptr<const Checkpoint> create(ModelSpec spec, std::vector<TensorInfo> tensors, const std::string& where,
                                                  WeightCheck check = WeightCheck::kValues);

  const ModelSpec& spec() const { return spec_; }
  // The tensor under its canonical name. Throws kInternal if the manifest does not have it.
  // Both audio table names always resolve (to the same tensor when tied).
  const TensorInfo& tensor(const std::string& canonical_name) const;
  // The audio heads as a product wants them, by codebook: [rows, width], where rows beyond the vocabulary are padding. GGUF files
  // hold them so; empty for other files, whose heads are lm_head.weight and the transposed slabs of codebooks_head.weight.
  const std::vector<TensorInfo>& head_rows() const { return head_rows_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Canonical names in a stable order, for inspection.
  const std::vector<std::string>& names() const { return names_; }
  // The layout in words: "transformers", "original", "gguf", "mimi".
  const std::string& layout() const { return layout_; }

 private:
  friend class CheckpointBuilder;
  Checkpoint() = default;

  ModelSpec spec_;
  std::unordered_map<std::string, TensorInfo> tensors_;
  std::vector<std::string> names_;
  std::vector<std::string> warnings_;
  std::vector<TensorInfo> head_rows_;
  std::string layout_;
};

}  // namespace csm
