#include "backends/mlx/backbone.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/fail.h"
#include "model/frame_request.h"
#include "model/kv_cache.h"

namespace csm::mlx_backend {
namespace {

constexpr int kStepPositions = kKvStepPositions;
constexpr int kMaxBlockRows = 128;  // of prefill: bounds the embeddings of all columns that are in memory at once

int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

mx::Dtype cache_dtype(KvType type) {
  switch (type) {
    case KvType::kF32:
      return mx::float32;
    case KvType::kF16:
      return mx::float16;
    case KvType::kQ8_0:
      break;
  }
  fail(ErrorCode::kUnsupported,
       "the MLX backend keeps keys and values as f32 or f16; use --kv-type f16, or --backend ggml for q8_0");
}

}  // namespace

BackboneSequence::~BackboneSequence() {
  try {
    hidden_.reset();
    k_.clear();
    v_.clear();
    device_->end_utterance();
  } catch (const std::exception&) {
    // The memory then stays in MLX's cache, which has a limit.
  }
}

std::vector<mx::array> BackboneSequence::pending() const {
  std::vector<mx::array> arrays;
  if (!is_pending_) return arrays;
  arrays = k_;
  arrays.insert(arrays.end(), v_.begin(), v_.end());
  if (hidden_) arrays.push_back(*hidden_);
  return arrays;
}

void BackboneSequence::check_usable() const {
  if (is_lost_) {
    fail(ErrorCode::kResourceLimit,
         "this sequence was lost when an earlier computation failed (out of memory?); start a new one");
  }
}

Backbone::Backbone(std::shared_ptr<Device> device, WeightLoader& loader, const Checkpoint& checkpoint,
                   const BackendOptions& options)
    : device_(std::move(device)),
      spec_(checkpoint.spec()),
      tap_(options.stage_tap),
      kv_dtype_(cache_dtype(options.kv_type)),
      stack_(load_stack(loader, checkpoint, "backbone_model.", spec_.backbone,
                        {options.backbone_type, options.backbone_packed})),
      text_table_(loader.table(checkpoint.tensor("embed_text_tokens.weight"))),
      audio_table_(loader.table(checkpoint.tensor(kBackboneAudioTable))) {}

std::unique_ptr<BackboneSequence> Backbone::new_sequence(int max_positions) const {
  check_window(spec_, max_positions);
  auto sequence = std::make_unique<BackboneSequence>(device_);
  sequence->max_positions_ = max_positions;
  reserve(*sequence, std::min(max_positions, kStepPositions));
  return sequence;
}

// Room for n_positions, in whole steps.
void Backbone::reserve(BackboneSequence& sequence, int n_positions) const {
  if (n_positions <= sequence.capacity_) return;
  const mx::Stream& s = device_->stream();
  const int capacity = round_up(n_positions, kStepPositions);
  const mx::Shape added{1, spec_.backbone.n_kv_heads, capacity - sequence.capacity_, spec_.backbone.head_dim};
  const auto grow = [&](std::vector<mx::array>& arrays) {
    for (int i = 0; i < spec_.backbone.n_layers; ++i) {
      const mx::array zeros = mx::zeros(added, kv_dtype_, s);
      const auto index = static_cast<size_t>(i);
      if (sequence.capacity_ == 0) {
        arrays.push_back(zeros);
      } else {
        arrays[index] = mx::concatenate({arrays[index], zeros}, 2, s);
      }
    }
  };
  grow(sequence.k_);
  grow(sequence.v_);
  sequence.capacity_ = capacity;
}

void Backbone::truncate(BackboneSequence& sequence, int position) const {
  sequence.check_usable();
  check_truncation(sequence, position);
  if (position < sequence.n_positions_) sequence.hidden_.reset();
  sequence.n_positions_ = position;
}

void Backbone::copy_prefix(const BackboneSequence& from, int n_positions, BackboneSequence& to) const {
  from.check_usable();
  if (&from == &to || n_positions < 0 || n_positions > from.n_positions_) {
    fail(ErrorCode::kInvalidArgument, "cannot copy {} positions of a sequence that has {}{}", n_positions,
         from.n_positions_, &from == &to ? " onto itself" : "");
  }
  if (n_positions > to.max_positions_) {
    fail(ErrorCode::kResourceLimit, "{} positions do not fit a sequence of {}", n_positions, to.max_positions_);
  }
  const mx::Stream& s = device_->stream();
  const TransformerSpec& spec = spec_.backbone;
  const int capacity = round_up(std::max(n_positions, 1), kStepPositions);
  // Arrays of its own, since caches are written in place.
  const auto copied = [&](const std::vector<mx::array>& arrays) {
    std::vector<mx::array> result;
    for (const mx::array& array : arrays) {
      const mx::array kept = mx::slice(array, {0, 0, 0, 0}, {1, spec.n_kv_heads, n_positions, spec.head_dim}, s);
      const mx::array zeros =
          mx::zeros({1, spec.n_kv_heads, capacity - n_positions, spec.head_dim}, kv_dtype_, s);
      result.push_back(mx::concatenate({kept, zeros}, 2, s));
    }
    return result;
  };
  std::vector<mx::array> k = copied(from.k_);
  std::vector<mx::array> v = copied(from.v_);
  std::vector<mx::array> all = k;
  all.insert(all.end(), v.begin(), v.end());
  evaluate(all);
  to.k_ = std::move(k);
  to.v_ = std::move(v);
  to.capacity_ = capacity;
  to.n_positions_ = n_positions;
  to.hidden_.reset();
  to.is_pending_ = false;
  to.is_lost_ = false;
}

// Sum of the unmasked columns' embeddings: [1, n, width]. Columns that are masked in all rows are not looked up.
mx::array Backbone::embed(FramesView rows, int first, int n) const {
  const mx::Stream& s = device_->stream();
  const int n_codebooks = spec_.n_codebooks;
  std::vector<int32_t> ids;
  std::vector<float> kept;
  std::vector<int32_t> text_ids;
  std::vector<float> text_kept;
  bool any_audio = false;
  bool any_text = false;
  for (int row = first; row < first + n; ++row) {
    for (int column = 0; column < rows.n_columns; ++column) {
      const auto i = static_cast<size_t>(row * rows.n_columns + column);
      const bool is_text = column == n_codebooks;
      const bool is_kept = rows.mask[i] != 0;
      const int32_t id = is_kept ? rows.ids[i] : 0;
      (is_text ? text_ids : ids).push_back(is_text ? id : column * spec_.audio_vocab + id);
      (is_text ? text_kept : kept).push_back(is_kept ? 1.0f : 0.0f);
      (is_text ? any_text : any_audio) |= is_kept;
    }
  }
  const auto look_up = [&](const Table& table, const std::vector<int32_t>& row_ids,
                           const std::vector<float>& factors, int n_columns) {
    const mx::array masked = mx::multiply(table(to_array(row_ids, {n, n_columns}), s), to_array(factors, {n, n_columns, 1}), s);
    return mx::reshape(mx::sum(masked, 1, false, s), {1, n, spec_.backbone.width}, s);
  };
  if (!any_audio) return look_up(text_table_, text_ids, text_kept, 1);
  const mx::array audio = look_up(audio_table_, ids, kept, n_codebooks);
  return any_text ? mx::add(audio, look_up(text_table_, text_ids, text_kept, 1), s) : audio;
}

void Backbone::append(BackboneSequence& sequence, FramesView rows) const {
  sequence.check_usable();
  check_rows(spec_, sequence, rows);
  const int n_rows = rows.n_rows();
  if (n_rows == 0) return;
  // At most one row waits for its frame: graphs stay small.
  if (sequence.is_pending_) evaluate_pending(sequence, {});
  for (int first = 0; first < n_rows;) {
    const int n = std::min(n_rows - first, kMaxBlockRows);
    run(sequence, rows, first, n, sequence.n_positions_ + first);
    first += n;
  }
  sequence.n_positions_ += n_rows;
}

// Rows first .. first + n - 1 at positions position ..
void Backbone::run(BackboneSequence& sequence, FramesView rows, int first, int n, int position) const {
  const mx::Stream& s = device_->stream();
  const TransformerSpec& spec = spec_.backbone;
  const int n_keys = position + n;
  const bool is_last = first + n == rows.n_rows();
  const float scale = 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
  reserve(sequence, n_keys);
  const auto attend = [&](int layer, const mx::array& q, const mx::array& k, const mx::array& v) {
    const auto remember = [&](mx::array& cache, const mx::array& added) {
      cache = mx::slice_update(cache, mx::astype(added, kv_dtype_, s), mx::Shape{0, 0, position, 0},
                               mx::Shape{1, spec.n_kv_heads, n_keys, spec.head_dim}, s);
      return mx::slice(cache, {0, 0, 0, 0}, {1, spec.n_kv_heads, n_keys, spec.head_dim}, s);
    };
    const mx::array keys = remember(sequence.k_[static_cast<size_t>(layer)], k);
    const mx::array values = remember(sequence.v_[static_cast<size_t>(layer)], v);
    const mx::array mixed = mx::fast::scaled_dot_product_attention(mx::astype(q, kv_dtype_, s), keys, values, scale,
                                                                   n > 1 ? "causal" : "", {}, {}, false, s);
    return mx::astype(mixed, mx::float32, s);
  };
  std::vector<mx::array> stages;
  const auto after_layer = [&](int, const mx::array& x) {
    if (tap_ != nullptr) stages.push_back(mx::contiguous(x, false, s));
  };
  const mx::array x = run_layers(stack_, embed(rows, first, n), position, attend, after_layer, s);
  const auto eps = static_cast<float>(spec.norm_eps);
  if (tap_ != nullptr) stages.push_back(mx::fast::rms_norm(x, stack_.norm, eps, s));
  sequence.is_pending_ = true;
  if (is_last) {
    const mx::array last = mx::reshape(mx::slice(x, {0, n - 1, 0}, {1, n, spec.width}, s), {1, spec.width}, s);
    sequence.hidden_ = mx::contiguous(mx::fast::rms_norm(last, stack_.norm, eps, s), false, s);
  }
  if (n == 1 && tap_ == nullptr) return;
  evaluate_pending(sequence, stages);
  std::vector<float> values(static_cast<size_t>(n) * static_cast<size_t>(spec.width));
  for (size_t i = 0; i < stages.size(); ++i) {
    read(stages[i], values);
    tap_->on_stage(i + 1 < stages.size() ? "hidden." + std::to_string(i + 1) : "last_hidden", values, n, spec.width);
  }
}

void Backbone::evaluate_pending(BackboneSequence& sequence, std::vector<mx::array> also) const {
  const std::vector<mx::array> pending = sequence.pending();
  also.insert(also.end(), pending.begin(), pending.end());
  try {
    evaluate(also);
  } catch (...) {
    sequence.lose();
    throw;
  }
  sequence.computed();
}

}  // namespace csm::mlx_backend
