#include "backends/ggml/language_model.h"

#include <algorithm>
#include <vector>

#include "backends/ggml/backbone.h"
#include "backends/ggml/depth.h"
#include "base/fail.h"
#include "model/code_drawer.h"
#include "model/frame_request.h"

namespace csm::ggml {
namespace {

class GgmlLanguageModel final : public LanguageModel {
 public:
  GgmlLanguageModel(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint, const BackendOptions& options)
      : device_(std::move(device)),
        checkpoint_(std::move(checkpoint)),
        options_(options),
        weights_(device_, options.path == ExecutionPath::kBest),
        backbone_(device_, *checkpoint_, options, weights_),
        depth_(device_, *checkpoint_, options, weights_) {
    weights_.load();
  }

  const ModelSpec& spec() const override { return checkpoint_->spec(); }
  std::unique_ptr<Sequence> new_sequence(int max_positions) override { return backbone_.new_sequence(max_positions); }
  void append(Sequence& sequence, FramesView rows) override { backbone_.append(own(sequence), rows); }
  void truncate(Sequence& sequence, int position) override { backbone_.truncate(own(sequence), position); }
  void copy_prefix(const Sequence& from, int n_positions, Sequence& to) override {
    backbone_.copy_prefix(dynamic_cast<const BackboneSequence&>(from), n_positions, own(to));
  }
  void next_frames(std::span<FrameRequest> batch) override;
  uint64_t n_setups() const override { return device_->n_setups(); }
  uint64_t weight_bytes() const override { return weights_.n_bytes(); }
  FrameBytes frame_bytes() const override { return {backbone_.matrix_bytes(), depth_.frame_bytes()}; }

 private:
  static BackboneSequence& own(Sequence& sequence) { return dynamic_cast<BackboneSequence&>(sequence); }
  void check(const FrameRequest& request) const;

  std::shared_ptr<Device> device_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  BackendOptions options_;
  WeightStore weights_;
  Backbone backbone_;
  DepthDecoder depth_;
  CodeDrawer drawer_;
  std::vector<float> hidden_;      // [batch, backbone width]
  std::vector<int32_t> codes_;     // [n_codebooks, batch]
};

void GgmlLanguageModel::check(const FrameRequest& request) const {
  if (request.sequence == nullptr || !own(*request.sequence).has_hidden()) {
    fail(ErrorCode::kInvalidArgument, "a sequence needs at least one appended row before its next frame");
  }
  check_request(spec(), request);
}

void GgmlLanguageModel::next_frames(std::span<FrameRequest> batch) {
  if (batch.empty()) return;
  for (const FrameRequest& request : batch) check(request);
  const auto width = static_cast<size_t>(spec().backbone.width);
  const auto vocab = static_cast<size_t>(spec().audio_vocab);
  hidden_.resize(batch.size() * width);
  codes_.resize(batch.size());
  for (size_t b = 0; b < batch.size(); ++b) {
    const std::span<const float> hidden = own(*batch[b].sequence).hidden();
    std::copy(hidden.begin(), hidden.end(), hidden_.begin() + static_cast<std::ptrdiff_t>(b * width));
    if (batch[b].tap != nullptr) batch[b].tap->on_hidden(hidden);
  }
  for (int codebook = 0; codebook < spec().n_codebooks; ++codebook) {
    const std::span<const float> logits = depth_.logits(codebook, hidden_, codes_, static_cast<int>(batch.size()));
    for (size_t b = 0; b < batch.size(); ++b) {
      const auto row = logits.subspan(b * static_cast<size_t>(depth_.logits_stride()), vocab);
      codes_[b] = drawer_.draw(batch[b], spec(), codebook, row);
      batch[b].out[static_cast<size_t>(codebook)] = codes_[b];
    }
  }
}

}  // namespace

std::unique_ptr<LanguageModel> make_language_model(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                                                   const BackendOptions& options) {
  if (!checkpoint->spec().has_language_model) fail(ErrorCode::kUnsupported, "this checkpoint is a codec alone; speaking needs a CSM model");
  return std::make_unique<GgmlLanguageModel>(std::move(device), std::move(checkpoint), options);
}

}  // namespace csm::ggml
