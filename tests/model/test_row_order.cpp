// Rows in another order, slabs transposed, heads given as rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "model/row_order.h"
#include "model/tensor_names.h"
#include "model_test.h"

namespace csm::test {
namespace {

TEST(RowOrder, HalfSplitMovesWholeRowsWithinHeads) {
  // Two heads of four rows of two columns; a row holds its own number.
  const TensorInfo interleaved = made("q", {8, 2}, {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7});
  EXPECT_EQ(values_of(half_split_rows(interleaved, 4)),
            (std::vector<float>{0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7}));
}

TEST(RowOrder, QuantisedRowsStayWhole) {
  std::vector<std::byte> blocks(4 * 34);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::byte>(i / 34);
  const TensorInfo source{"q", DType::kQ8_0, {4, 32}, [&] { return TensorBytes{blocks, nullptr}; }};
  const TensorBytes moved = half_split_rows(source, 4).fetch();
  std::vector<int> rows;
  for (size_t row = 0; row < 4; ++row) {
    const auto begin = moved.data.begin() + static_cast<std::ptrdiff_t>(row * 34);
    EXPECT_TRUE(std::all_of(begin, begin + 34, [&](std::byte b) { return b == *begin; }));
    rows.push_back(std::to_integer<int>(*begin));
  }
  EXPECT_EQ(rows, (std::vector<int>{0, 2, 1, 3}));
}

TEST(RowOrder, SlabsAreTransposedWithoutTheirPadding) {
  // One slab of three rows (the last one padding) of two columns.
  const TensorInfo transposed = transposed_slabs(made("heads", {1, 3, 2}, {1, 2, 3, 4, 0, 0}), 2);
  EXPECT_EQ(transposed.shape, (std::vector<int64_t>{1, 2, 2}));
  EXPECT_EQ(values_of(transposed), (std::vector<float>{1, 3, 2, 4}));
  TensorInfo quantised = made("heads", {1, 3, 32}, {});
  quantised.type = DType::kQ8_0;
  EXPECT_TRUE(contains(error_of([&] { transposed_slabs(quantised, 2).fetch(); }, ErrorCode::kUnsupported), "Q8_0"));
}

// The heads of nano as rows, padded by `n_more` rows of zeros.
std::vector<TensorInfo> with_head_rows(int64_t n_more) {
  std::vector<TensorInfo> tensors = weights_of("nano");
  const TensorInfo first = find(tensors, "lm_head.weight");
  const TensorInfo slabs = find(tensors, "depth_decoder.codebooks_head.weight");
  const int64_t n_slabs = slabs.shape[0], width = slabs.shape[1], vocab = slabs.shape[2];
  std::vector<float> rows = values_of(first);
  rows.resize(static_cast<size_t>((vocab + n_more) * first.shape[1]));
  const std::vector<float> values = values_of(slabs);
  std::vector<float> slab_rows(static_cast<size_t>(n_slabs * (vocab + n_more) * width));
  for (int64_t i = 0; i < n_slabs; ++i) {
    for (int64_t d = 0; d < width; ++d) {
      for (int64_t v = 0; v < vocab; ++v) {
        slab_rows[static_cast<size_t>((i * (vocab + n_more) + v) * width + d)] = values[static_cast<size_t>((i * width + d) * vocab + v)];
      }
    }
  }
  drop(tensors, "lm_head.weight");
  drop(tensors, "depth_decoder.codebooks_head.weight");
  tensors.push_back(made(kFirstHeadRows, {vocab + n_more, first.shape[1]}, rows));
  tensors.push_back(made(kDepthHeadRows, {n_slabs, vocab + n_more, width}, slab_rows));
  return tensors;
}

TEST(HeadRows, AnswerToTheCanonicalNames) {
  const auto plain = Checkpoint::create(spec_of("nano"), weights_of("nano"), "nano");
  EXPECT_TRUE(plain->head_rows().empty());
  for (const int64_t n_more : {0, 5}) {
    const auto rows = Checkpoint::create(spec_of("nano"), with_head_rows(n_more), "nano");
    EXPECT_EQ(rows->layout(), "gguf");
    EXPECT_TRUE(rows->warnings().empty());
    ASSERT_EQ(rows->head_rows().size(), static_cast<size_t>(rows->spec().n_codebooks));
    EXPECT_EQ(rows->head_rows()[1].shape, (std::vector<int64_t>{11 + n_more, plain->spec().depth.width}));
    for (const std::string& name : plain->names()) {
      EXPECT_EQ(values_of(rows->tensor(name)), values_of(plain->tensor(name))) << name;
    }
  }
}

TEST(HeadRows, OfAnotherShapeAreRefused) {
  std::vector<TensorInfo> tensors = with_head_rows(0);
  find(tensors, kFirstHeadRows).shape = {10, 8};  // fewer than the vocabulary
  const std::string few = error_of([&] { Checkpoint::create(spec_of("nano"), tensors, "nano"); });
  EXPECT_TRUE(contains(few, "lm_head.rows") && contains(few, "[11, 8] or more rows")) << few;
  tensors = with_head_rows(0);
  find(tensors, kDepthHeadRows).shape = {11, 8};
  EXPECT_TRUE(contains(error_of([&] { Checkpoint::create(spec_of("nano"), tensors, "nano"); }), "codebooks_head.rows"));
  tensors = with_head_rows(0);
  tensors.push_back(find(tensors, kFirstHeadRows));
  tensors.back().name = "lm_head.weight";
  EXPECT_TRUE(contains(error_of([&] { Checkpoint::create(spec_of("nano"), tensors, "nano"); }), "given twice"));
}

TEST(HeadRows, BadValuesAreFound) {
  std::vector<TensorInfo> tensors = with_head_rows(0);
  TensorInfo& rows = find(tensors, kDepthHeadRows);
  std::vector<float> values = values_of(rows);
  values.back() = std::numeric_limits<float>::infinity();
  rows = made(kDepthHeadRows, rows.shape, values);
  EXPECT_TRUE(contains(error_of([&] { Checkpoint::create(spec_of("nano"), tensors, "nano"); }), "codebooks_head.rows"));
}

TEST(GgufNames, ComeBackAndAreShort) {
  for (const char* name : {"quantizer.semantic_residual_vector_quantizer.layers.0.codebook.embed_sum",
                           "quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.cluster_usage",
                           "quantizer.acoustic_residual_vector_quantizer.input_proj.weight", "lm_head.weight",
                           "depth_decoder.model.layers.10.post_attention_layernorm.weight"}) {
    EXPECT_LT(gguf_name(name).size(), 64u);
    EXPECT_EQ(canonical_name(gguf_name(name)).name, name);
  }
}

}  // namespace
}  // namespace csm::test
