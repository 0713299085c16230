// The layers of Mimi as parts of a graph of one frame: convolution, upsampling, residual block, transformer.
//
// Place in the flow: MimiWeights + StreamState -> Graph of a decoder or encoder. Activations are {channels, steps}.
// What a layer must remember between frames lives in the stream's state, which the graph reads and writes in place.
// Inference thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/ggml/graph.h"
#include "backends/ggml/mimi_weights.h"

namespace csm::ggml {

inline constexpr int kStepsPerFrame = 2;  // latent steps

// More tensors than a graph, or the state, of one frame has.
size_t max_frame_tensors(const CodecSpec& spec);

// The memory of one stream between frames: tensors by name, zero at the start. Owned by its decoder or encoder.
class StreamState {
 public:
  StreamState(std::shared_ptr<Device> device, size_t max_tensors);

  // A new tensor, or the one of this name (when another graph of the same stream is built), which must have this shape.
  ggml_tensor* tensor(const std::string& name, ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2 = 1);
  // The tensor of this name, which must be there.
  ggml_tensor* find(const std::string& name) const;
  // After the first graph is made, before it is allocated. Errors: kResourceLimit.
  void allocate();

 private:
  std::shared_ptr<Device> device_;
  size_t max_tensors_;
  ContextPtr context_;
  BufferPtr buffer_;
  std::map<std::string, ggml_tensor*> tensors_;
};

// Hands activations to the StageTap of the options, if there is one. Rows are steps, columns are channels.
class StageRecorder {
 public:
  explicit StageRecorder(StageTap* tap) : tap_(tap) {}

  // Marks the tensor {columns, rows} for report(). Does nothing without a tap.
  void record(Graph& graph, const std::string& name, ggml_tensor* tensor);
  // After a run: hands on what was recorded, in order.
  void report(const Graph& graph) const;

 private:
  StageTap* tap_;
  std::vector<std::pair<std::string, ggml_tensor*>> stages_;
};

// Which slot of the key-value ring holds which position of a stream, and which steps see it.
//
// The ring has at least window + n_steps - 1 slots, so that the first step of a frame still finds its oldest key after
// the last step was written (model specification, section 4.7).
class AttentionRing {
 public:
  AttentionRing(int window, int max_steps);

  int n_slots() const { return static_cast<int>(position_of_slot_.size()); }
  // Throws kResourceLimit when the stream would become longer than positions are exact as float32 angles: 2^24 steps,
  // 186 hours.
  void check_room(int64_t n_steps) const;
  // Moves n steps on: fills positions [n], slots [n] and mask [n, n_slots] (0 where step a sees position b: 0 <= a - b
  // < window).
  void advance(int n, std::span<int32_t> positions, std::span<int64_t> slots, std::span<float> mask);

 private:
  int window_;
  int64_t next_position_ = 0;
  std::vector<int64_t> position_of_slot_;  // -1: empty
};

// What AttentionRing tells a graph of n steps.
class AttentionInputs {
 public:
  AttentionInputs(Graph& graph, const AttentionRing& ring, int n_steps);
  void advance(Graph& graph, AttentionRing& ring);

  ggml_tensor* positions = nullptr;  // {n} i32
  ggml_tensor* slots = nullptr;      // {n} i64
  ggml_tensor* mask = nullptr;       // {n_slots, n} f32

 private:
  std::vector<int32_t> position_values_;
  std::vector<int64_t> slot_values_;
  std::vector<float> mask_values_;
};

enum class Activation { kNone, kElu };
// The last, partial frame of an encoder: inputs are padded on the right to whole strides, and no state is written.
enum class FrameKind { kWhole, kLast };

class LayerBuilder {
 public:
  LayerBuilder(const Device& device, Graph& graph, StreamState& state, StageRecorder& stages, FrameKind kind)
      : is_cpu_(device.is_cpu()), graph_(graph), state_(state), stages_(stages), kind_(kind) {}

  ggml_context* context() const { return graph_.context(); }

  // Activation, then the convolution: x {in, T} -> {out, ceil(T / stride)}. `name` is that of its state.
  ggml_tensor* convolve(const std::string& name, const Convolution& layer, ggml_tensor* x, Activation before);
  // ELU, then the transposed convolution: x {in, T} -> {out, T * stride}.
  ggml_tensor* upsample(const std::string& name, const Upsampling& layer, ggml_tensor* x);
  // Depthwise, without bias: one latent step {width, 1} -> two. kernel {width, 4}.
  ggml_tensor* upsample_latent(const std::string& name, ggml_tensor* kernel, ggml_tensor* latent);
  ggml_tensor* residual(const std::string& name, const ResidualBlock& block, ggml_tensor* x);
  // x {width, n_steps} -> same. `name` opens the names of states and stages.
  ggml_tensor* transformer(const std::string& name, const MimiWeights& weights, const std::vector<CodecLayer>& layers,
                           const AttentionInputs& inputs, ggml_tensor* x);
  void stage(const std::string& name, ggml_tensor* x) { stages_.record(graph_, name, x); }

 private:
  ggml_tensor* attend(const std::string& name, const MimiWeights& weights, const CodecLayer& layer,
                      const AttentionInputs& inputs, ggml_tensor* x);
  ggml_tensor* elu(ggml_tensor* x);
  // What a layer sees: the last n_past steps of the frame before, then activated x, padded with zeros to n_new steps.
  // {channels, n_past + n_new}.
  ggml_tensor* extend(const std::string& name, ggml_tensor* x, int64_t n_past, int64_t n_new, Activation before);
  // Keeps the last n_past steps for the next frame; after all that reads `extended`.
  void keep(ggml_tensor* extended, int64_t n_past);
  // weight * windows of `extended`: {rows of weight, n_windows}.
  ggml_tensor* multiply(ggml_tensor* weight, ggml_tensor* extended, int64_t kernel, int64_t stride, int64_t n_windows);

  bool is_cpu_;
  Graph& graph_;
  StreamState& state_;
  StageRecorder& stages_;
  FrameKind kind_;
};

// Windows of `kernel` steps, `stride` apart: {channels * kernel, n_windows} over x {channels, steps}; windows overlap
// in memory.
ggml_tensor* sliding_windows(ggml_context* context, ggml_tensor* x, int64_t kernel, int64_t stride, int64_t n_windows);

}  // namespace csm::ggml
