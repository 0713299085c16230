#include "backends/ggml/mimi_quantiser.h"

namespace csm::ggml {

Dequantiser::Dequantiser(Graph& graph, const MimiWeights& weights)
    : weights_(weights), rows_(static_cast<size_t>(weights.spec.n_codebooks)) {
  ggml_context* context = graph.context();
  semantic_rows_ = graph.input(GGML_TYPE_I32, weights.semantic.n);
  acoustic_rows_ = graph.input(GGML_TYPE_I32, weights.acoustic.n);
  const auto part = [&](const QuantiserPart& quantiser, ggml_tensor* rows) {
    ggml_tensor* entries = ggml_get_rows(context, weights.codebooks, rows);       // {dim, n}
    ggml_tensor* columns = ggml_cont(context, ggml_transpose(context, entries));  // {n, dim}
    ggml_tensor* sum = ggml_reshape_1d(context, ggml_sum_rows(context, columns), weights.spec.codebook_dim);
    return ggml_mul_mat(context, quantiser.output_projection, sum);
  };
  ggml_tensor* semantic = part(weights.semantic, semantic_rows_);
  latent_ = ggml_add(context, semantic, part(weights.acoustic, acoustic_rows_));
}

void Dequantiser::set(Graph& graph, std::span<const int32_t> codes) {
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i] = i < codes.size() ? weights_.codebook_row(static_cast<int>(i), codes[i]) : weights_.zero_row();
  }
  const auto n_semantic = static_cast<size_t>(weights_.semantic.n);
  const std::span<const int32_t> rows(rows_);
  graph.set(semantic_rows_, rows.first(n_semantic));
  graph.set(acoustic_rows_, rows.subspan(n_semantic));
}

Quantiser::Quantiser(Graph& graph, StreamState& state, StageRecorder& stages, const MimiWeights& weights,
                     ggml_tensor* latent)
    : weights_(weights), found_(state.tensor("codes", GGML_TYPE_I32, weights.spec.n_codebooks, 1)) {
  search(graph, stages, "semantic", weights.semantic, latent);
  search(graph, stages, "acoustic", weights.acoustic, latent);
}

// The nearest entry has the greatest r.E - |E|^2 / 2. Both parts start from the latent itself.
void Quantiser::search(Graph& graph, StageRecorder& stages, const std::string& name, const QuantiserPart& part,
                       ggml_tensor* latent) {
  ggml_context* context = graph.context();
  const ggml_tensor* books = weights_.codebooks;
  const int64_t size = weights_.spec.codebook_size;
  ggml_tensor* residual = ggml_mul_mat(context, part.input_projection, latent);
  stages.record(graph, name + ".residual", residual);
  for (int i = part.first; i < part.first + part.n; ++i) {
    ggml_tensor* book = ggml_view_2d(context, weights_.codebooks, books->ne[0], size, books->nb[1],
                                     books->nb[1] * static_cast<size_t>(size * i));
    ggml_tensor* half_norms =
        ggml_view_1d(context, weights_.half_norms, size, weights_.half_norms->nb[1] * static_cast<size_t>(i));
    ggml_tensor* scores = ggml_sub(context, ggml_mul_mat(context, book, residual), half_norms);
    ggml_tensor* row = ggml_argmax(context, scores);
    graph.effect(ggml_cpy(context, row, ggml_view_1d(context, found_, 1, found_->nb[0] * static_cast<size_t>(i))));
    residual = ggml_sub(context, residual, ggml_get_rows(context, book, row));
    stages.record(graph, name + ".residual", residual);
  }
}

void Quantiser::get(const Graph& graph, std::span<int32_t> codes) const {
  graph.get(found_, codes);
  for (int32_t& code : codes)
    code = weights_.spec.codebook_size - 1 - code;  // entries lie from the last code to the first
}

}  // namespace csm::ggml
