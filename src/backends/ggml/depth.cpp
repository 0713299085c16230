#include "backends/ggml/depth.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "model/row_order.h"
#include "model/weight_types.h"

namespace csm::ggml {
namespace {

// Slab `index` of codebooks_head [n_codebooks - 1, width, vocab], transposed to rows of width.
ggml_tensor* declare_slab(WeightStore& store, const TensorInfo& source, int index, WeightType type, int n_rows) {
  const int64_t width = source.shape.at(1);
  const int64_t vocab = source.shape.at(2);
  const auto open = [source, index, width, vocab]() -> FillRows {
    return [bytes = source.fetch(), type = source.type, index, width, vocab](int64_t first, int64_t n, float* out) {
      std::fill(out, out + n * width, 0.0f);
      const int64_t n_real = std::clamp<int64_t>(vocab - first, 0, n);
      if (n_real == 0) return;
      std::vector<float> line(static_cast<size_t>(n_real));
      for (int64_t d = 0; d < width; ++d) {
        const auto offset = static_cast<size_t>((index * width + d) * vocab + first);
        widen_to_f32(type, bytes.data.data() + offset * size_of(type), line.size(), line.data());
        for (int64_t row = 0; row < n_real; ++row) out[row * width + d] = line[static_cast<size_t>(row)];
      }
    };
  };
  return store.generated(source.name, weight_type(type, source.type), width, n_rows, open);
}

}  // namespace

DepthDecoder::DepthDecoder(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options,
                           WeightStore& store)
    : device_(std::move(device)),
      spec_(checkpoint.spec()),
      options_(options),
      stack_(declare_stack(store, checkpoint, "depth_decoder.model.", spec_.depth, options.depth_type)),
      audio_table_(checkpoint.tensor(kDepthAudioTable)),
      padded_vocab_(static_cast<int>(padded_head_rows(spec_.audio_vocab))) {
  const WeightType type = at_least_q8_0(options.depth_type);
  const TensorInfo& projector = checkpoint.tensor("depth_decoder.model.inputs_embeds_projector.weight");
  projection_ = store.matrix(projector, weight_type(type, projector.type));
  declare_heads(store, checkpoint, at_least_q8_0(options.backbone_type), type);
}

// Rows that the file has padded as we do stay where they are.
void DepthDecoder::declare_heads(WeightStore& store, const Checkpoint& checkpoint, WeightType first_type, WeightType type) {
  const auto add_rows = [&](const TensorInfo& rows, WeightType of) {
    const TensorInfo fitting = rows.shape.at(0) > padded_vocab_ ? row_slice(rows, 0, padded_vocab_) : rows;
    heads_.push_back(store.padded_matrix(fitting, weight_type(of, rows.type), padded_vocab_));
  };
  const std::vector<TensorInfo>& rows = checkpoint.head_rows();
  add_rows(rows.empty() ? checkpoint.tensor("lm_head.weight") : rows.front(), first_type);
  for (int i = 0; i + 1 < spec_.n_codebooks; ++i) {
    if (rows.empty()) {
      heads_.push_back(declare_slab(store, checkpoint.tensor("depth_decoder.codebooks_head.weight"), i, type, padded_vocab_));
    } else {
      add_rows(rows[static_cast<size_t>(i) + 1], type);
    }
  }
}

uint64_t DepthDecoder::frame_bytes() const {
  uint64_t n_bytes = 0;
  for (const ggml_tensor* head : heads_) n_bytes += ggml_nbytes(head);
  return n_bytes + static_cast<uint64_t>(spec_.n_codebooks - 1) * (stack_.matrix_bytes + ggml_nbytes(projection_));
}

DepthProgram& DepthDecoder::program(int batch) {
  const auto found = programs_.find(batch);
  if (found != programs_.end()) return found->second;
  const TransformerSpec& spec = spec_.depth;
  const int64_t width = int64_t{spec.head_dim} * spec.n_kv_heads;
  DepthProgram program;
  program.batch = batch;
  program.context = make_context(static_cast<size_t>(spec.n_layers) * 2);
  for (int i = 0; i < spec.n_layers; ++i) {
    program.k.push_back(ggml_new_tensor_3d(program.context.get(), GGML_TYPE_F32, width, spec_.n_codebooks, batch));
    program.v.push_back(ggml_new_tensor_3d(program.context.get(), GGML_TYPE_F32, spec_.n_codebooks, width, batch));
  }
  program.buffer = device_->allocate(program.context.get(), device_->buffer_type(), "the depth decoder's key-value memory");
  if (options_.path == ExecutionPath::kBest) {
    for (int codebook = 0; codebook < spec_.n_codebooks; ++codebook) program.graphs.push_back(build(program, codebook));
  }
  return programs_.emplace(batch, std::move(program)).first->second;
}

DepthGraph DepthDecoder::build(DepthProgram& program, int codebook) const {
  const TransformerSpec& spec = spec_.depth;
  constexpr size_t kTensorsPerLayer = 48;
  const int batch = program.batch;
  DepthGraph built;
  built.graph = std::make_unique<Graph>(device_, static_cast<size_t>(spec.n_layers) * kTensorsPerLayer + 64);
  Graph& graph = *built.graph;
  ggml_context* context = graph.context();
  const int64_t input_width = spec_.backbone.width;
  if (codebook <= 1) built.hidden = graph.input(GGML_TYPE_F32, input_width, batch);
  if (codebook == 0) {
    built.logits = ggml_mul_mat(context, heads_[0], built.hidden);
    graph.output(built.logits);
    graph.allocate();
    return built;
  }
  const int n_rows = codebook == 1 ? 2 : 1;
  const int position = codebook - n_rows + 1;
  built.embedding = graph.input(GGML_TYPE_F32, input_width, batch);
  built.positions = graph.input(GGML_TYPE_I32, int64_t{n_rows} * batch);
  ggml_tensor* x = built.embedding;
  if (codebook == 1) {
    built.mask = graph.input(GGML_TYPE_F32, n_rows, n_rows);
    x = ggml_concat(context, ggml_reshape_3d(context, built.hidden, input_width, 1, batch),
                    ggml_reshape_3d(context, x, input_width, 1, batch), 1);
    x = ggml_reshape_2d(context, x, input_width, int64_t{n_rows} * batch);
  }
  x = ggml_mul_mat(context, projection_, x);
  const auto attend_layer = [&](int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) {
    return attend(program, graph, built, position, n_rows, layer, q, k, v);
  };
  const auto after_layer = [&](int, ggml_tensor* after) {
    if (options_.stage_tap == nullptr) return;
    graph.output(after);
    built.stages.push_back(after);
  };
  x = run_layers(context, stack_, x, built.positions, attend_layer, after_layer);
  if (n_rows > 1) {  // the last position of each sequence
    x = ggml_view_2d(context, x, spec.width, batch, x->nb[1] * static_cast<size_t>(n_rows), x->nb[1] * static_cast<size_t>(n_rows - 1));
    x = ggml_cont(context, x);
  }
  x = rms_norm(context, x, stack_.norm, spec.norm_eps);
  built.logits = ggml_mul_mat(context, heads_[static_cast<size_t>(codebook)], x);
  graph.output(built.logits);
  graph.allocate();
  set_constants(built, codebook, batch);
  return built;
}

ggml_tensor* DepthDecoder::attend(const DepthProgram& program, Graph& graph, const DepthGraph& built, int position, int n_rows,
                                  int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const {
  const TransformerSpec& spec = spec_.depth;
  ggml_context* context = graph.context();
  ggml_tensor* all_k = program.k[static_cast<size_t>(layer)];
  ggml_tensor* all_v = program.v[static_cast<size_t>(layer)];
  const int64_t width = all_k->ne[0];
  const int64_t n_keys = position + n_rows;
  const int64_t batch = program.batch;
  ggml_tensor* k_slots = ggml_view_3d(context, all_k, width, n_rows, batch, all_k->nb[1], all_k->nb[2],
                                      static_cast<size_t>(position) * all_k->nb[1]);
  ggml_tensor* v_slots = ggml_view_3d(context, all_v, n_rows, width, batch, all_v->nb[1], all_v->nb[2],
                                      static_cast<size_t>(position) * all_v->nb[0]);
  ggml_tensor* v_rows = ggml_permute(context, ggml_reshape_3d(context, v, width, n_rows, batch), 1, 0, 2, 3);
  // Writing the memory is an effect that must come before the read: the graph does not see that one depends on the other.
  graph.effect(ggml_cpy(context, ggml_reshape_3d(context, k, width, n_rows, batch), k_slots));
  graph.effect(ggml_cpy(context, v_rows, v_slots));
  ggml_tensor* keys = ggml_view_4d(context, all_k, spec.head_dim, n_keys, spec.n_kv_heads, batch, all_k->nb[1],
                                   static_cast<size_t>(spec.head_dim) * all_k->nb[0], all_k->nb[2], 0);
  ggml_tensor* values = ggml_view_4d(context, all_v, n_keys, spec.head_dim, spec.n_kv_heads, batch, all_v->nb[1],
                                     static_cast<size_t>(spec.head_dim) * all_v->nb[1], all_v->nb[2], 0);
  q = ggml_reshape_4d(context, q, spec.head_dim, spec.n_heads, n_rows, batch);
  // With one row, {head_dim, n_heads, 1} and {head_dim, 1, n_heads} are the same memory.
  q = n_rows == 1 ? ggml_reshape_4d(context, q, spec.head_dim, 1, spec.n_heads, batch) : ggml_permute(context, q, 0, 2, 1, 3);
  return attention(context, q, keys, values, built.mask, 1.0f / std::sqrt(static_cast<float>(spec.head_dim)));
}

// Inputs that are the same in every run. They keep their memory, so they are set once.
void DepthDecoder::set_constants(const DepthGraph& built, int codebook, int batch) const {
  const int n_rows = codebook == 1 ? 2 : 1;
  std::vector<int32_t> positions;
  for (int b = 0; b < batch; ++b) {
    for (int row = 0; row < n_rows; ++row) positions.push_back(codebook - n_rows + 1 + row);
  }
  built.graph->set(built.positions, positions);
  if (built.mask == nullptr) return;
  const std::vector<float> mask = {0.0f, -std::numeric_limits<float>::infinity(), 0.0f, 0.0f};
  built.graph->set(built.mask, mask);
}

std::span<const float> DepthDecoder::logits(int codebook, std::span<const float> hidden, std::span<const int32_t> previous, int batch) {
  DepthProgram& graphs = program(batch);
  if (options_.path == ExecutionPath::kNaive) naive_ = build(graphs, codebook);
  DepthGraph& built = options_.path == ExecutionPath::kNaive ? naive_ : graphs.graphs[static_cast<size_t>(codebook)];
  if (built.hidden != nullptr) built.graph->set(built.hidden, hidden);
  if (built.embedding != nullptr) {
    const auto width = static_cast<size_t>(audio_table_.width());
    embeddings_.resize(static_cast<size_t>(batch) * width);
    for (size_t b = 0; b < previous.size(); ++b) {
      audio_table_.read_row(int64_t{codebook - 1} * spec_.audio_vocab + previous[b], embeddings_.data() + b * width);
    }
    built.graph->set(built.embedding, embeddings_);
  }
  built.graph->run();
  logits_.resize(static_cast<size_t>(batch) * static_cast<size_t>(padded_vocab_));
  built.graph->get(built.logits, std::span<float>(logits_));
  if (options_.stage_tap != nullptr && codebook > 0) report_stages(built, codebook);
  return logits_;
}

// Rows of the newest positions of the first sequence: two of codebook 1, one of each later one.
void DepthDecoder::report_stages(const DepthGraph& built, int codebook) const {
  const int n_rows = codebook == 1 ? 2 : 1;
  std::vector<float> values(static_cast<size_t>(n_rows) * static_cast<size_t>(spec_.depth.width));
  for (size_t i = 0; i < built.stages.size(); ++i) {
    built.graph->get(built.stages[i], values);
    options_.stage_tap->on_stage("depth.hidden." + std::to_string(i + 1), values, n_rows, spec_.depth.width);
  }
}

}  // namespace csm::ggml
