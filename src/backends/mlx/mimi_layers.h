// The layers of Mimi on the steps of one frame, and the state that a stream carries from frame to frame.
//
// Activations are [steps, channels]. A state is an array that each frame replaces; a frame's graph is evaluated
// together with its new states. One stream each; inference thread.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backends/mlx/mimi_weights.h"
#include "model/model.h"

namespace csm::mlx_backend {

enum class Activation { kNone, kElu };

// The attention window's key-value ring: which position lies in which slot. All layers of a stream share it.
class AttentionRing {
 public:
  AttentionRing(int window, int max_steps);

  int n_slots() const { return static_cast<int>(position_of_slot_.size()); }
  int64_t next_position() const { return next_position_; }
  // Errors: kResourceLimit when the stream would become longer than positions can count.
  void check_room(int64_t n_steps) const;
  // Takes the next n steps in. They lie in slots first_slot() ..; mask() [n, n_slots] is 0 where a step sees a slot,
  // else -inf.
  void advance(int n);
  int first_slot() const { return first_slot_; }
  int64_t position() const { return position_; }
  const std::vector<float>& mask() const { return mask_; }

 private:
  int window_;
  std::vector<int64_t> position_of_slot_;
  int64_t next_position_ = 0;
  int64_t position_ = 0;
  int first_slot_ = 0;
  std::vector<float> mask_;
};

// Builds the lazy graph of one frame.
class FrameBuilder {
 public:
  using States = std::map<std::string, mx::array>;
  // states: of the stream; new ones are put there. tap may be null.
  FrameBuilder(const MimiWeights& weights, const mx::Stream& stream, States& states, StageTap* tap)
      : weights_(weights), s_(stream), states_(states), is_tapped_(tap != nullptr) {}

  mx::array convolve(const std::string& name, const Convolution& layer, const mx::array& x, Activation before);
  mx::array upsample(const std::string& name, const Upsampling& layer, const mx::array& x);
  // One latent [1, width] -> two steps.
  mx::array upsample_latent(const std::string& name, const mx::array& latent);
  // Two (at the end of a stream perhaps one) steps -> one latent. The ends of a stream repeat their first and last
  // step.
  mx::array downsample(const std::string& name, const mx::array& x);
  mx::array residual(const std::string& name, const ResidualBlock& block, const mx::array& x);
  mx::array transformer(const std::string& name, const std::vector<CodecLayer>& layers, const AttentionRing& ring,
                        mx::array x);
  void stage(const std::string& name, const mx::array& x);

  // Evaluates results and all states; throws away nothing when it fails, so that the stream must be given up.
  void evaluate_with(std::vector<mx::array> results);
  void report(StageTap& tap) const;
  const mx::Stream& stream() const { return s_; }

 private:
  // The state, or zeros [n, channels].
  mx::array past(const std::string& name, int n, int channels);
  void remember(const std::string& name, const mx::array& value) { states_.insert_or_assign(name, value); }
  mx::array attend(const std::string& name, const CodecLayer& layer, const AttentionRing& ring, const mx::array& x);

  const MimiWeights& weights_;
  mx::Stream s_;
  States& states_;
  bool is_tapped_;
  std::vector<std::pair<std::string, mx::array>> stages_;
};

}  // namespace csm::mlx_backend
