// The backbone: frames -> hidden state of the last position, with a key-value cache for each sequence.
//
// Several rows (prefill) are computed at once, in blocks. A single row stays lazy: it becomes part of the evaluation of
// the frame that follows it. Caches grow in steps of kStepPositions and are written in place. Inference thread only.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/mlx/transformer.h"
#include "model/model.h"

namespace csm::mlx_backend {

class BackboneSequence final : public Sequence {
 public:
  explicit BackboneSequence(std::shared_ptr<const Device> device) : device_(std::move(device)) {}
  ~BackboneSequence() override;
  int n_positions() const override { return n_positions_; }
  int max_positions() const override { return max_positions_; }
  bool has_hidden() const { return hidden_.has_value(); }
  // [1, width], perhaps not yet evaluated; evaluate pending() with it, then call computed().
  const mx::array& hidden() const { return *hidden_; }
  std::vector<mx::array> pending() const;
  void computed() { is_pending_ = false; }
  // An evaluation failed half-way: the cache may hold anything.
  void lose() { is_lost_ = true; }
  // Errors: kResourceLimit when it was lost.
  void check_usable() const;

 private:
  friend class Backbone;
  std::shared_ptr<const Device> device_;
  int n_positions_ = 0;
  int max_positions_ = 0;
  int capacity_ = 0;
  bool is_pending_ = false;
  bool is_lost_ = false;
  std::optional<mx::array> hidden_;
  std::vector<mx::array> k_;  // by layer: [1, n_kv_heads, capacity, head_dim]
  std::vector<mx::array> v_;
};

class Backbone {
 public:
  Backbone(std::shared_ptr<Device> device, WeightLoader& loader, const Checkpoint& checkpoint,
           const BackendOptions& options);

  std::unique_ptr<BackboneSequence> new_sequence(int max_positions) const;
  void append(BackboneSequence& sequence, FramesView rows) const;
  void truncate(BackboneSequence& sequence, int position) const;
  void copy_prefix(const BackboneSequence& from, int n_positions, BackboneSequence& to) const;
  uint64_t matrix_bytes() const { return stack_.matrix_bytes; }

 private:
  mx::array embed(FramesView rows, int first, int n) const;
  void reserve(BackboneSequence& sequence, int n_positions) const;
  void run(BackboneSequence& sequence, FramesView rows, int first, int n, int position) const;
  void evaluate_pending(BackboneSequence& sequence, std::vector<mx::array> also) const;

  std::shared_ptr<Device> device_;
  ModelSpec spec_;
  StageTap* tap_;
  mx::Dtype kv_dtype_;
  Stack stack_;
  Table text_table_;
  Table audio_table_;
};

}  // namespace csm::mlx_backend
