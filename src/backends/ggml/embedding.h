// An embedding table that is only looked up: rows are widened where the checkpoint has them, nothing is copied or converted.
#pragma once

#include <vector>

#include "io/tensor.h"

namespace csm::ggml {

class EmbeddingTable {
 public:
  explicit EmbeddingTable(const TensorInfo& source);

  int64_t n_rows() const { return n_rows_; }
  int width() const { return width_; }
  // Writes or adds one row of `width` elements. Errors: kInternal for a row that is not there.
  void read_row(int64_t row, float* out) const;
  void add_row(int64_t row, float* out);

 private:
  TensorBytes bytes_;
  DType type_;
  int64_t n_rows_;
  int width_;
  std::vector<float> row_;
};

}  // namespace csm::ggml
