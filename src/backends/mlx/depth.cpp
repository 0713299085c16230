#include "backends/mlx/depth.h"

#include <cmath>
#include <utility>

#include "model/row_order.h"

namespace csm::mlx_backend {
namespace {

// The first n_rows of stored rows; those behind are padding.
Matrix load_rows(WeightLoader& loader, const TensorInfo& source, int codebook, int n_rows, WeightType type) {
  const auto rows = [&] {
    const mx::array all = loader.stored(source);
    return mx::slice(all, {0, 0}, {n_rows, all.shape(1)}, loader.stream());
  };
  return loader.matrix(source.name + "." + std::to_string(codebook), rows, type, source.type);
}

// codebooks_head [n_codebooks - 1, width, vocab] as one matrix for each codebook from 1.
void load_heads(WeightLoader& loader, const TensorInfo& source, WeightType type, std::vector<Matrix>& heads) {
  for (int64_t i = 0; i < source.shape[0]; ++i) {
    const auto rows = [&] {
      const mx::array slab = loader.stored(row_slice(source, i, 1));
      return mx::transpose(mx::reshape(slab, {slab.shape(1), slab.shape(2)}, loader.stream()), loader.stream());
    };
    heads.push_back(loader.matrix(source.name + "." + std::to_string(i), rows, type, source.type));
  }
}

}  // namespace

DepthDecoder::DepthDecoder(std::shared_ptr<Device> device, WeightLoader& loader, const Checkpoint& checkpoint,
                           const BackendOptions& options)
    : device_(std::move(device)),
      spec_(checkpoint.spec()),
      stack_(load_stack(loader, checkpoint, "depth_decoder.model.", spec_.depth, {options.depth_type, options.depth_packed})),
      projection_(loader.matrix({&checkpoint.tensor("depth_decoder.model.inputs_embeds_projector.weight")},
                                at_least_8_bits({options.depth_type, options.depth_packed}))),
      audio_table_(loader.table(checkpoint.tensor(kDepthAudioTable))) {
  const PartType first_type = at_least_8_bits({options.backbone_type, options.backbone_packed});
  const WeightType type = at_least_8_bits({options.depth_type, options.depth_packed}).type;
  for (const TensorInfo& rows : checkpoint.head_rows()) {
    const int codebook = static_cast<int>(heads_.size());
    heads_.push_back(load_rows(loader, rows, codebook, spec_.audio_vocab, codebook == 0 ? first_type.type : type));
  }
  if (!heads_.empty()) return;
  heads_.push_back(loader.matrix({&checkpoint.tensor("lm_head.weight")}, first_type));
  load_heads(loader, checkpoint.tensor("depth_decoder.codebooks_head.weight"), type, heads_);
}

uint64_t DepthDecoder::frame_bytes() const {
  uint64_t n_bytes = 0;
  for (const Matrix& head : heads_) n_bytes += head.n_bytes;
  return n_bytes + static_cast<uint64_t>(spec_.n_codebooks - 1) * (stack_.matrix_bytes + projection_.n_bytes);
}

mx::array DepthFrame::logits(int codebook, const mx::array& previous) {
  const mx::Stream& s = decoder_.device_->stream();
  const TransformerSpec& spec = decoder_.spec_.depth;
  const Matrix& head = decoder_.heads_[static_cast<size_t>(codebook)];
  if (codebook == 0) return head(hidden_, s);
  const int batch = hidden_.shape(0);
  const int width = hidden_.shape(1);
  const mx::array row = mx::add(previous, mx::array((codebook - 1) * decoder_.spec_.audio_vocab), s);
  mx::array x = mx::reshape(decoder_.audio_table_(row, s), {batch, 1, width}, s);
  if (codebook == 1) x = mx::concatenate({mx::reshape(hidden_, {batch, 1, width}, s), x}, 1, s);
  const int n_rows = x.shape(1);
  const float scale = 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
  const auto attend = [&](int layer, const mx::array& q, const mx::array& k, const mx::array& v) {
    const auto index = static_cast<size_t>(layer);
    if (codebook == 1) {
      k_.push_back(k);
      v_.push_back(v);
    } else {
      k_[index] = mx::concatenate({k_[index], k}, 2, s);
      v_[index] = mx::concatenate({v_[index], v}, 2, s);
    }
    return mx::fast::scaled_dot_product_attention(q, k_[index], v_[index], scale, n_rows > 1 ? "causal" : "", {}, {},
                                                  false, s);
  };
  const auto after_layer = [&](int, const mx::array& after) {
    if (tap_ != nullptr) stages_.push_back(mx::contiguous(after, false, s));
  };
  x = run_layers(decoder_.stack_, decoder_.projection_(x, s), codebook - n_rows + 1, attend, after_layer, s);
  x = mx::reshape(mx::slice(x, {0, n_rows - 1, 0}, {batch, n_rows, spec.width}, s), {batch, spec.width}, s);
  return head(mx::fast::rms_norm(x, decoder_.stack_.norm, static_cast<float>(spec.norm_eps), s), s);
}

void DepthFrame::report() {
  const auto n_layers = static_cast<size_t>(decoder_.spec_.depth.n_layers);
  for (size_t i = 0; i < stages_.size(); ++i) {
    const mx::array& stage = stages_[i];
    std::vector<float> values(stage.size());
    read(stage, values);
    const int n_rows = stage.shape(1);
    const int width = stage.shape(2);
    const std::span<const float> first(values.data(), static_cast<size_t>(n_rows) * static_cast<size_t>(width));
    tap_->on_stage("depth.hidden." + std::to_string(i % n_layers + 1), first, n_rows, width);
  }
  stages_.clear();
}

}  // namespace csm::mlx_backend
