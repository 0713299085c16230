#include "backends/ggml/embedding.h"

#include "backends/ggml/rows.h"
#include "base/fail.h"

namespace csm::ggml {

EmbeddingTable::EmbeddingTable(const TensorInfo& source)
    : bytes_(source.fetch()),
      type_(source.type),
      n_rows_(source.shape.at(0)),
      width_(static_cast<int>(source.shape.at(1))),
      row_(static_cast<size_t>(width_)) {}

void EmbeddingTable::read_row(int64_t row, float* out) const {
  if (row < 0 || row >= n_rows_) fail(ErrorCode::kInternal, "embedding row {} of {}", row, n_rows_);
  const auto width = static_cast<size_t>(width_);
  read_f32(type_, bytes_.data.data() + static_cast<size_t>(row) * bytes_of_row(type_, width_), width, out);
}

void EmbeddingTable::add_row(int64_t row, float* out) {
  read_row(row, row_.data());
  for (int i = 0; i < width_; ++i) out[i] += row_[static_cast<size_t>(i)];
}

}  // namespace csm::ggml
