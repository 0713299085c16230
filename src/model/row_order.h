// Views of stored tensors with their rows in another order, and rows of them.
//
// Place in the flow: weight files -> (here) -> checkpoint, which offers one order whatever the file has. Stateless; any thread.
#pragma once

#include "io/tensor.h"

namespace csm {

// Rows of an audio head with its padding: backends take rows in groups, and a vocabulary is seldom a multiple of one.
inline constexpr int64_t kHeadRowGroup = 8;
constexpr int64_t padded_head_rows(int64_t vocabulary) { return (vocabulary + kHeadRowGroup - 1) / kHeadRowGroup * kHeadRowGroup; }

// Rows [first, first + n) of the slowest dimension; the same bytes.
TensorInfo row_slice(const TensorInfo& source, int64_t first, int64_t n);

// Attention q or k rows whose rotary pairs are neighbours (2i, 2i + 1), as in original files, -> pairs (i, i + head_dim / 2), as in
// Transformers: a copy, made when it is fetched. Rows are moved whole, so quantised ones stay exact.
TensorInfo half_split_rows(const TensorInfo& source, int64_t head_dim);

// Slabs of rows [slabs, rows >= n_rows, width] as [slabs, width, n_rows]: how files other than GGUF lay out the audio heads. A copy, made
// when it is fetched. Errors of fetch: kUnsupported for quantised rows, whose blocks lie along the width.
TensorInfo transposed_slabs(const TensorInfo& source, int64_t n_rows);

}  // namespace csm
