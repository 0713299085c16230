#include "backends/ggml/backbone.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/fail.h"
#include "model/frame_request.h"

namespace csm::ggml {
namespace {

constexpr int kBucketPositions = kKvStepPositions;
constexpr int kMaxBlockRows = 128;  // of prefill: enough columns for full speed, few enough for small buffers

int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

ggml_type cache_type(KvType type) {
  switch (type) {
    case KvType::kF32: return GGML_TYPE_F32;
    case KvType::kF16: return GGML_TYPE_F16;
    case KvType::kQ8_0: return GGML_TYPE_Q8_0;
  }
  fail(ErrorCode::kInternal, "unknown key-value type {}", static_cast<int>(type));
}

}  // namespace

Backbone::Backbone(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options, WeightStore& store)
    : device_(std::move(device)),
      spec_(checkpoint.spec()),
      options_(options),
      stack_(declare_stack(store, checkpoint, "backbone_model.", spec_.backbone, options.backbone_type)),
      text_table_(checkpoint.tensor("embed_text_tokens.weight")),
      audio_table_(checkpoint.tensor(kBackboneAudioTable)) {
  const auto block = static_cast<int>(ggml_blck_size(cache_type(options.kv_type)));
  if (spec_.backbone.head_dim % block != 0) {
    fail(ErrorCode::kUnsupported, "a q8_0 key-value cache needs attention heads whose size is a multiple of {}; this model's have {}; "
         "use --kv-type f16 or f32", block, spec_.backbone.head_dim);
  }
}

KvCache Backbone::make_cache(int max_positions) {
  const TransformerSpec& spec = spec_.backbone;
  const int64_t width = int64_t{spec.head_dim} * spec.n_kv_heads;
  KvCache cache;
  cache.type = options_.kv_type;
  cache.capacity = round_up(max_positions, kBucketPositions);
  cache.context = make_context(static_cast<size_t>(spec.n_layers) * 2);
  const bool transposed = cache.type != KvType::kQ8_0;
  for (int i = 0; i < spec.n_layers; ++i) {
    const ggml_type type = cache_type(cache.type);
    cache.k.push_back(ggml_new_tensor_2d(cache.context.get(), type, width, cache.capacity));
    cache.v.push_back(transposed ? ggml_new_tensor_2d(cache.context.get(), type, cache.capacity, width)
                                 : ggml_new_tensor_2d(cache.context.get(), type, width, cache.capacity));
  }
  // Cleared, since masked slots are multiplied by zero and garbage may be NaN.
  cache.buffer = device_->allocate(cache.context.get(), device_->buffer_type(), "the key-value cache");
  return cache;
}

std::unique_ptr<BackboneSequence> Backbone::new_sequence(int max_positions) {
  check_window(spec_, max_positions);
  auto sequence = std::make_unique<BackboneSequence>();
  sequence->max_positions_ = max_positions;
  sequence->hidden_.resize(static_cast<size_t>(spec_.backbone.width));
  sequence->cache_ = make_cache(max_positions);
  // All length classes now, so that no frame has to build one.
  for (int n_keys = kBucketPositions; n_keys <= sequence->cache_.capacity; n_keys += kBucketPositions) {
    sequence->steps_.push_back(build(sequence->cache_, 1, n_keys));
  }
  return sequence;
}

void Backbone::truncate(BackboneSequence& sequence, int position) {
  check_truncation(sequence, position);
  if (position < sequence.n_positions_) sequence.has_hidden_ = false;
  sequence.n_positions_ = position;
}

namespace {

// The first n elements of each of n_rows rows, whose lengths differ; the rest of `to` becomes zero.
void copy_row_starts(const ggml_tensor* from, ggml_tensor* to, size_t n) {
  const size_t element = ggml_element_size(from);
  const auto n_rows = static_cast<size_t>(from->ne[1]);
  std::vector<std::byte> source(ggml_nbytes(from));
  std::vector<std::byte> target(ggml_nbytes(to));
  ggml_backend_tensor_get(from, source.data(), 0, source.size());
  for (size_t row = 0; row < n_rows; ++row) {
    std::memcpy(target.data() + row * to->nb[1], source.data() + row * from->nb[1], n * element);
  }
  ggml_backend_tensor_set(to, target.data(), 0, target.size());
}

void copy_rows(const ggml_tensor* from, ggml_tensor* to, size_t n_rows) {
  std::vector<std::byte> bytes(n_rows * from->nb[1]);
  ggml_backend_tensor_get(from, bytes.data(), 0, bytes.size());
  ggml_backend_tensor_set(to, bytes.data(), 0, bytes.size());
}

}  // namespace

void Backbone::copy_prefix(const BackboneSequence& from, int n_positions, BackboneSequence& to) {
  if (&from == &to || n_positions < 0 || n_positions > from.n_positions_) {
    fail(ErrorCode::kInvalidArgument, "cannot copy {} positions of a sequence that has {}{}", n_positions, from.n_positions_,
         &from == &to ? " onto itself" : "");
  }
  if (n_positions > to.max_positions_) {
    fail(ErrorCode::kResourceLimit, "{} positions do not fit a sequence of {}", n_positions, to.max_positions_);
  }
  to.has_hidden_ = false;
  to.n_positions_ = n_positions;
  if (n_positions == 0) return;
  const auto n = static_cast<size_t>(n_positions);
  for (size_t layer = 0; layer < from.cache_.k.size(); ++layer) {
    copy_rows(from.cache_.k[layer], to.cache_.k[layer], n);
    if (from.cache_.type == KvType::kQ8_0) {
      copy_rows(from.cache_.v[layer], to.cache_.v[layer], n);
    } else {
      copy_row_starts(from.cache_.v[layer], to.cache_.v[layer], n);
    }
  }
}

// Sum of the unmasked columns' embeddings: [n, width].
void Backbone::embed(FramesView rows, int first, int n, float* out) {
  const int width = spec_.backbone.width;
  std::fill(out, out + static_cast<size_t>(n) * static_cast<size_t>(width), 0.0f);
  for (int row = 0; row < n; ++row) {
    const size_t start = static_cast<size_t>(first + row) * static_cast<size_t>(rows.n_columns);
    float* sum = out + static_cast<size_t>(row) * static_cast<size_t>(width);
    for (int column = 0; column < rows.n_columns; ++column) {
      const size_t i = start + static_cast<size_t>(column);
      if (rows.mask[i] == 0) continue;
      if (column == spec_.n_codebooks) {
        text_table_.add_row(rows.ids[i], sum);
      } else {
        audio_table_.add_row(int64_t{column} * spec_.audio_vocab + rows.ids[i], sum);
      }
    }
  }
}

void Backbone::append(BackboneSequence& sequence, FramesView rows) {
  check_rows(spec_, sequence, rows);
  const int n_rows = rows.n_rows();
  if (n_rows == 0) return;
  const auto n_keys = [](int n_positions) { return round_up(n_positions, kBucketPositions); };
  // What is written beyond n_positions_ does not count until all of it is there.
  for (int first = 0; first < n_rows;) {
    const int position = sequence.n_positions_ + first;
    const int n = std::min(kMaxBlockRows, n_rows - first);
    if (n == 1) {
      run(sequence.steps_[static_cast<size_t>(position / kBucketPositions)], sequence, rows, first, position);
    } else {
      BackboneGraph block = build(sequence.cache_, n, n_keys(position + n));
      run(block, sequence, rows, first, position);
    }
    first += n;
  }
  sequence.n_positions_ += n_rows;
  sequence.has_hidden_ = true;
}

BackboneGraph Backbone::build(const KvCache& cache, int n_rows, int n_keys) const {
  const TransformerSpec& spec = spec_.backbone;
  constexpr size_t kTensorsPerLayer = 48;
  BackboneGraph built;
  built.n_rows = n_rows;
  built.n_keys = n_keys;
  built.graph = std::make_unique<Graph>(device_, static_cast<size_t>(spec.n_layers) * kTensorsPerLayer + 64);
  Graph& graph = *built.graph;
  ggml_context* context = graph.context();
  const bool flash = cache.type == KvType::kQ8_0;
  built.embeddings = graph.input(GGML_TYPE_F32, spec.width, n_rows);
  built.positions = graph.input(GGML_TYPE_I32, n_rows);
  built.rows = graph.input(GGML_TYPE_I64, n_rows);
  if (!flash) built.elements = graph.input(GGML_TYPE_I64, int64_t{n_rows} * spec.head_dim * spec.n_kv_heads);
  built.mask = graph.input(flash ? GGML_TYPE_F16 : GGML_TYPE_F32, n_keys, n_rows);
  const auto attend_layer = [&](int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) {
    // Writing the cache is an effect that must come before the read, which the graph cannot see.
    return attend(built, cache, layer, q, k, v);
  };
  const auto after_layer = [&](int layer, ggml_tensor* x) {
    if (options_.stage_tap == nullptr) return;
    graph.output(x);
    built.stages.emplace_back("hidden." + std::to_string(layer + 1), x);
  };
  ggml_tensor* x = run_layers(context, stack_, built.embeddings, built.positions, attend_layer, after_layer);
  if (options_.stage_tap != nullptr) {
    ggml_tensor* normed = rms_norm(context, x, stack_.norm, spec.norm_eps);
    graph.output(normed);
    built.stages.emplace_back("last_hidden", normed);
  }
  ggml_tensor* last = ggml_view_1d(context, x, spec.width, static_cast<size_t>(n_rows - 1) * x->nb[1]);
  built.hidden = rms_norm(context, last, stack_.norm, spec.norm_eps);
  graph.output(built.hidden);
  graph.allocate();
  return built;
}

ggml_tensor* Backbone::attend(BackboneGraph& built, const KvCache& cache, int layer, ggml_tensor* q, ggml_tensor* k,
                              ggml_tensor* v) const {
  const TransformerSpec& spec = spec_.backbone;
  Graph& graph = *built.graph;
  ggml_context* context = graph.context();
  ggml_tensor* all_k = cache.k[static_cast<size_t>(layer)];
  ggml_tensor* all_v = cache.v[static_cast<size_t>(layer)];
  const int64_t width = all_k->ne[0];
  const float scale = 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
  const size_t k_head_bytes = ggml_row_size(all_k->type, spec.head_dim);
  // Writing the cache is an effect that must come before the read: the graph does not see that one depends on the other.
  graph.effect(ggml_set_rows(context, all_k, ggml_reshape_2d(context, k, width, built.n_rows), built.rows));
  ggml_tensor* keys = ggml_view_3d(context, all_k, spec.head_dim, built.n_keys, spec.n_kv_heads, all_k->nb[1], k_head_bytes, 0);
  q = ggml_permute(context, q, 0, 2, 1, 3);  // {head_dim, n_rows, n_heads}
  if (cache.type == KvType::kQ8_0) {
    graph.effect(ggml_set_rows(context, all_v, v, built.rows));
    ggml_tensor* values = ggml_view_3d(context, all_v, spec.head_dim, built.n_keys, spec.n_kv_heads, all_v->nb[1], k_head_bytes, 0);
    ggml_tensor* mixed = ggml_flash_attn_ext(context, q, keys, values, built.mask, scale, 0.0f, 0.0f);
    ggml_flash_attn_ext_set_prec(mixed, GGML_PREC_F32);
    return ggml_reshape_2d(context, mixed, int64_t{spec.head_dim} * spec.n_heads, built.n_rows);
  }
  ggml_tensor* v_elements = ggml_reshape_2d(context, all_v, 1, ggml_nelements(all_v));
  graph.effect(ggml_set_rows(context, v_elements, ggml_reshape_2d(context, v, 1, ggml_nelements(v)), built.elements));
  ggml_tensor* values = ggml_view_3d(context, all_v, built.n_keys, spec.head_dim, spec.n_kv_heads, all_v->nb[1],
                                     all_v->nb[1] * static_cast<size_t>(spec.head_dim), 0);
  return attention(context, q, keys, values, built.mask, scale);
}

void Backbone::fill_mask(const BackboneGraph& built, int position) {
  const auto n_keys = static_cast<size_t>(built.n_keys);
  mask_.assign(n_keys * static_cast<size_t>(built.n_rows), -std::numeric_limits<float>::infinity());
  for (int row = 0; row < built.n_rows; ++row) {
    float* begin = mask_.data() + n_keys * static_cast<size_t>(row);
    std::fill(begin, begin + position + row + 1, 0.0f);
  }
  if (built.mask->type == GGML_TYPE_F32) {
    built.graph->set(built.mask, mask_);
    return;
  }
  mask_f16_.resize(mask_.size());
  std::transform(mask_.begin(), mask_.end(), mask_f16_.begin(), f32_to_f16);
  built.graph->set(built.mask, mask_f16_);
}

// Rows first .. first + n_rows - 1 at positions position ..
void Backbone::run(BackboneGraph& built, BackboneSequence& sequence, FramesView rows, int first, int position) {
  const int n = built.n_rows;
  const auto width = static_cast<size_t>(spec_.backbone.head_dim) * static_cast<size_t>(spec_.backbone.n_kv_heads);
  embeddings_.resize(static_cast<size_t>(n) * static_cast<size_t>(spec_.backbone.width));
  embed(rows, first, n, embeddings_.data());
  built.graph->set(built.embeddings, embeddings_);
  positions_.resize(static_cast<size_t>(n));
  rows_.resize(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    positions_[static_cast<size_t>(i)] = position + i;
    rows_[static_cast<size_t>(i)] = position + i;
  }
  built.graph->set(built.positions, positions_);
  built.graph->set(built.rows, rows_);
  if (built.elements != nullptr) {
    elements_.resize(static_cast<size_t>(n) * width);
    for (size_t i = 0; i < elements_.size(); ++i) {
      elements_[i] = static_cast<int64_t>(i % width) * sequence.cache_.capacity + position + static_cast<int64_t>(i / width);
    }
    built.graph->set(built.elements, elements_);
  }
  fill_mask(built, position);
  built.graph->run();
  built.graph->get(built.hidden, sequence.hidden_);
  if (options_.stage_tap != nullptr) report_stages(built);
}

void Backbone::report_stages(const BackboneGraph& built) const {
  std::vector<float> values(static_cast<size_t>(built.n_rows) * static_cast<size_t>(spec_.backbone.width));
  for (const auto& [name, tensor] : built.stages) {
    built.graph->get(tensor, values);
    options_.stage_tap->on_stage(name, values, built.n_rows, spec_.backbone.width);
  }
}

}  // namespace csm::ggml
