#include "backends/mlx/language_model.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/mlx/backbone.h"
#include "backends/mlx/depth.h"
#include "backends/mlx/sampling.h"
#include "base/fail.h"
#include "model/code_drawer.h"
#include "model/frame_request.h"
#include "model/weight_types.h"

namespace csm::mlx_backend {
namespace {

// The result of a frame's one evaluation.
struct FrameValues {
  std::vector<int32_t> codes;              // [n_codebooks, batch]
  std::vector<float> sums;                 // [n_codebooks, batch]: of the logits, finite when all of them are
  std::vector<std::vector<float>> logits;  // by codebook [batch, vocab], when a tap wants them
  std::vector<float> hidden;               // [batch, width], when a tap wants it
};

class MlxLanguageModel final : public LanguageModel {
 public:
  MlxLanguageModel(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                   const BackendOptions& options, WeightLoader loader)
      : device_(std::move(device)),
        checkpoint_(std::move(checkpoint)),
        tap_(options.stage_tap),
        path_(options.path),
        backbone_(device_, loader, *checkpoint_, options),
        depth_(device_, loader, *checkpoint_, options),
        weight_bytes_(loader.n_bytes()) {}

  const ModelSpec& spec() const override { return checkpoint_->spec(); }
  std::unique_ptr<Sequence> new_sequence(int max_positions) override {
    return guarded("making a sequence", [&] { return backbone_.new_sequence(max_positions); });
  }
  void append(Sequence& sequence, FramesView rows) override {
    guarded("the backbone", [&] { backbone_.append(own(sequence), rows); });
  }
  void truncate(Sequence& sequence, int position) override { backbone_.truncate(own(sequence), position); }
  void copy_prefix(const Sequence& from, int n_positions, Sequence& to) override {
    guarded("copying a sequence",
            [&] { backbone_.copy_prefix(dynamic_cast<const BackboneSequence&>(from), n_positions, own(to)); });
  }
  void next_frames(std::span<FrameRequest> batch) override {
    guarded("the next frame", [&] { run_frames(batch); });
  }
  // A lazy graph is made anew for each frame: that is how MLX works. What is counted stays the same after load.
  uint64_t n_setups() const override { return Device::n_streams(); }
  uint64_t weight_bytes() const override { return weight_bytes_; }
  FrameBytes frame_bytes() const override { return {backbone_.matrix_bytes(), depth_.frame_bytes()}; }

 private:
  static BackboneSequence& own(Sequence& sequence) { return dynamic_cast<BackboneSequence&>(sequence); }
  void check(const FrameRequest& request) const;
  void run_frames(std::span<FrameRequest> batch);
  bool draw_on_device(std::span<FrameRequest> batch, const mx::array& hidden);
  void draw_on_host(std::span<FrameRequest> batch, const mx::array& hidden);
  void evaluate_frame(std::span<FrameRequest> batch, std::vector<mx::array> arrays) const;
  void report(std::span<FrameRequest> batch, const FrameValues& values) const;

  std::shared_ptr<Device> device_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  StageTap* tap_;
  ExecutionPath path_;  // kNaive: an evaluation for each codebook and the host's sampler, as most MLX programs have it
  Backbone backbone_;
  DepthDecoder depth_;
  uint64_t weight_bytes_;
  CodeDrawer drawer_;
};

void MlxLanguageModel::check(const FrameRequest& request) const {
  if (request.sequence == nullptr || !own(*request.sequence).has_hidden()) {
    fail(ErrorCode::kInvalidArgument, "a sequence needs at least one appended row before its next frame");
  }
  own(*request.sequence).check_usable();
  check_request(spec(), request);
}

void MlxLanguageModel::run_frames(std::span<FrameRequest> batch) {
  if (batch.empty()) return;
  std::vector<mx::array> rows;
  for (const FrameRequest& request : batch) {
    check(request);
    rows.push_back(own(*request.sequence).hidden());
  }
  const mx::array hidden = rows.size() == 1 ? rows.front() : mx::concatenate(rows, 0, device_->stream());
  if (path_ == ExecutionPath::kBest && SamplingPlan::covers(batch, spec()) && draw_on_device(batch, hidden)) return;
  draw_on_host(batch, hidden);
}

// Evaluates together with what the sequences still owe from their last append.
void MlxLanguageModel::evaluate_frame(std::span<FrameRequest> batch, std::vector<mx::array> arrays) const {
  for (const FrameRequest& request : batch) {
    const std::vector<mx::array> pending = own(*request.sequence).pending();
    arrays.insert(arrays.end(), pending.begin(), pending.end());
  }
  try {
    evaluate(arrays);
  } catch (...) {
    for (const FrameRequest& request : batch) {
      if (!own(*request.sequence).pending().empty()) own(*request.sequence).lose();
    }
    throw;
  }
  for (const FrameRequest& request : batch) own(*request.sequence).computed();
}

// The whole frame as one graph. False: some logit is not a finite number, and the sampler must decide what that means.
bool MlxLanguageModel::draw_on_device(std::span<FrameRequest> batch, const mx::array& hidden) {
  const mx::Stream& s = device_->stream();
  const SamplingPlan plan(batch, spec(), s);
  const bool is_tapped =
      std::any_of(batch.begin(), batch.end(), [](const FrameRequest& request) { return request.tap != nullptr; });
  DepthFrame frame(depth_, hidden, tap_);
  std::vector<mx::array> codes;
  std::vector<mx::array> sums;
  std::vector<mx::array> logits;
  for (int codebook = 0; codebook < spec().n_codebooks; ++codebook) {
    const mx::array row = frame.logits(codebook, codebook == 0 ? hidden : codes.back());
    codes.push_back(plan.choose(codebook, row));
    sums.push_back(mx::sum(row, 1, false, s));
    if (is_tapped) logits.push_back(mx::contiguous(row, false, s));
  }
  std::vector<mx::array> outputs = {mx::stack(codes, 0, s), mx::stack(sums, 0, s), hidden};
  outputs.insert(outputs.end(), logits.begin(), logits.end());
  outputs.insert(outputs.end(), frame.stages().begin(), frame.stages().end());
  evaluate_frame(batch, outputs);
  FrameValues values;
  values.codes.resize(outputs[0].size());
  values.sums.resize(outputs[1].size());
  read(outputs[0], values.codes);
  read(outputs[1], values.sums);
  const bool is_finite =
      std::all_of(values.sums.begin(), values.sums.end(), [](float sum) { return std::isfinite(sum); });
  if (!is_finite) return false;
  if (is_tapped) {
    values.hidden.resize(hidden.size());
    read(hidden, values.hidden);
    for (const mx::array& row : logits) {
      values.logits.emplace_back(row.size());
      read(row, values.logits.back());
    }
  }
  frame.report();
  report(batch, values);
  return true;
}

// Hands codes, and what taps want, to the requests.
void MlxLanguageModel::report(std::span<FrameRequest> batch, const FrameValues& values) const {
  const auto width = static_cast<size_t>(spec().backbone.width);
  const auto vocab = static_cast<size_t>(spec().audio_vocab);
  for (size_t b = 0; b < batch.size(); ++b) {
    LogitsTap* tap = batch[b].tap;
    if (tap != nullptr) tap->on_hidden(std::span(values.hidden).subspan(b * width, width));
    for (size_t codebook = 0; codebook < batch[b].out.size(); ++codebook) {
      if (tap != nullptr)
        tap->on_logits(static_cast<int>(codebook), std::span(values.logits[codebook]).subspan(b * vocab, vocab));
      batch[b].out[codebook] = values.codes[codebook * batch.size() + b];
    }
  }
}

// One evaluation for each codebook, and the sampler between them.
void MlxLanguageModel::draw_on_host(std::span<FrameRequest> batch, const mx::array& hidden) {
  const mx::Stream& s = device_->stream();
  const auto width = static_cast<size_t>(spec().backbone.width);
  const auto vocab = static_cast<size_t>(spec().audio_vocab);
  DepthFrame frame(depth_, hidden, tap_);
  std::vector<float> values(hidden.size());
  evaluate_frame(batch, {hidden});
  read(hidden, values);
  for (size_t b = 0; b < batch.size(); ++b) {
    if (batch[b].tap != nullptr) batch[b].tap->on_hidden(std::span<const float>(values).subspan(b * width, width));
  }
  std::vector<int32_t> codes(batch.size());
  values.resize(batch.size() * vocab);
  for (int codebook = 0; codebook < spec().n_codebooks; ++codebook) {
    const mx::array previous = to_array(codes, {static_cast<int>(codes.size())});
    const mx::array logits = mx::contiguous(frame.logits(codebook, previous), false, s);
    std::vector<mx::array> outputs = {logits};
    outputs.insert(outputs.end(), frame.stages().begin(), frame.stages().end());
    evaluate(outputs);
    frame.report();
    read(logits, values);
    for (size_t b = 0; b < batch.size(); ++b) {
      codes[b] = drawer_.draw(batch[b], spec(), codebook, std::span<const float>(values).subspan(b * vocab, vocab));
      batch[b].out[static_cast<size_t>(codebook)] = codes[b];
    }
  }
}

// What decides the bytes of the weights, beside the files.
std::string settings_text(const Device& device, const BackendOptions& options) {
  const auto part = [](WeightType type, PackedWeights packed) {
    return fmt::format("{}{}", to_string(type), packed == PackedWeights::kKeep ? " or packed" : "");
  };
  return fmt::format("backbone {}, depth decoder {}; {}", part(options.backbone_type, options.backbone_packed),
                     part(options.depth_type, options.depth_packed), layout_text(device));
}

}  // namespace

std::unique_ptr<LanguageModel> make_language_model(std::shared_ptr<Device> device,
                                                   std::shared_ptr<const Checkpoint> checkpoint,
                                                   const BackendOptions& options) {
  if (!checkpoint->spec().has_language_model)
    fail(ErrorCode::kUnsupported, "this checkpoint is a codec alone; speaking needs a CSM model");
  return guarded("loading the language model", [&]() -> std::unique_ptr<LanguageModel> {
    const auto load = [&](auto found, WeightCacheWriter* writer) {
      return std::make_unique<MlxLanguageModel>(device, checkpoint, options, WeightLoader(device, std::move(found), writer));
    };
    return load_through_cache(options.weight_cache.get(), settings_text(*device, options), *checkpoint, load);
  });
}

}  // namespace csm::mlx_backend
