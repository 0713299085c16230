// Words of --type, the plan of a file, and the data that follows it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <map>

#include "convert/gguf_convert.h"
#include "model/model_test.h"
#include "model/row_order.h"

namespace csm::test {
namespace {

std::shared_ptr<const Checkpoint> load(const std::string& name) {
  return Checkpoint::create(spec_of(name), weights_of(name), name, WeightCheck::kShapesOnly);
}

// f32, f16 and bf16 without ggml: what the tests here need.
void convert_floats(DType type, const float* rows, std::byte* out, int64_t n_rows, int64_t n) {
  for (int64_t i = 0; i < n_rows * n; ++i) {
    if (type == DType::kF32) std::memcpy(out + 4 * i, rows + i, 4);
    const uint16_t bits = type == DType::kF16 ? f32_to_f16(rows[i]) : f32_to_bf16(rows[i]);
    if (type != DType::kF32) std::memcpy(out + 2 * i, &bits, 2);
  }
}

// The file as a checkpoint again.
GgufFile written(const Checkpoint& checkpoint, const GgufTypes& types, int n_threads = 2, const GgufProgress& progress = {}) {
  const std::vector<GgufPlanEntry> plan = plan_gguf(checkpoint, types);
  GgufWriter writer;
  for (const GgufPlanEntry& entry : plan) writer.add_tensor(entry.name, entry.to, entry.shape);
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  writer.begin([&](std::span<const std::byte> more) { bytes->insert(bytes->end(), more.begin(), more.end()); });
  write_gguf_tensors(checkpoint, plan, writer, convert_floats, n_threads, progress);
  writer.finish();
  return read_gguf_bytes(*bytes, bytes, "written");
}

TEST(GgufTypes, OneTypeForWhatItFits) {
  const GgufTypes stored = parse_gguf_types("stored");
  EXPECT_TRUE(stored.backbone == WeightType::kAsStored && stored.codec == WeightType::kAsStored);
  const GgufTypes f16 = parse_gguf_types("F16");
  EXPECT_TRUE(f16.depth == WeightType::kF16 && f16.tables == WeightType::kF16 && f16.codec == WeightType::kF16);
  const GgufTypes bf16 = parse_gguf_types("bf16");
  EXPECT_TRUE(bf16.tables == WeightType::kBF16 && bf16.codec == WeightType::kAsStored);
  const GgufTypes quantised = parse_gguf_types("q4_k");
  EXPECT_TRUE(quantised.backbone == WeightType::kQ4_K && quantised.depth == WeightType::kQ4_K);
  EXPECT_TRUE(quantised.tables == WeightType::kAsStored && quantised.codec == WeightType::kAsStored);
}

TEST(GgufTypes, Parts) {
  const GgufTypes types = parse_gguf_types("q4_K,depth=q6_K,tables=f16,codec=f16");
  EXPECT_TRUE(types.backbone == WeightType::kQ4_K && types.depth == WeightType::kQ6_K);
  EXPECT_TRUE(types.tables == WeightType::kF16 && types.codec == WeightType::kF16);
  const GgufTypes depth = parse_gguf_types("depth=iq4_nl");
  EXPECT_TRUE(depth.backbone == WeightType::kAsStored && depth.depth == WeightType::kIQ4_NL);
}

TEST(GgufTypes, WordsThatMeanNothingAreRefused) {
  for (const char* text : {"", "q7_0", "depth", "depth=", "=q8_0", "head=q8_0", "depth=q8_0,depth=q6_K", "depth=q8_0,q4_K", "q8_0,",
                           "tables=q8_0", "codec=q8_0", "codec=bf16", "q8_0,q4_0"}) {
    EXPECT_NE(error_of([&] { parse_gguf_types(text); }, ErrorCode::kInvalidArgument), "") << text;
  }
}

TEST(GgufPlan, HeadsAndProjectionKeep8Bits) {
  const auto checkpoint = load("csm-tiny-b");
  GgufTypes types;
  types.backbone = types.depth = WeightType::kQ4_0;
  std::map<std::string, DType> to;
  for (const GgufPlanEntry& entry : plan_gguf(*checkpoint, types)) {
    EXPECT_TRUE(to.emplace(entry.name, entry.to).second) << "names are unique";
    EXPECT_LT(entry.name.size(), 64u) << "ggml's own tools read names of at most 63 bytes";
  }
  EXPECT_EQ(to.at(kFirstHeadRows), DType::kQ8_0);
  EXPECT_EQ(to.at(kDepthHeadRows), DType::kQ8_0);
  EXPECT_EQ(to.at("depth_decoder.model.inputs_embeds_projector.weight"), DType::kQ8_0);
  EXPECT_EQ(to.at("backbone_model.layers.0.mlp.up_proj.weight"), DType::kQ4_0);
  EXPECT_EQ(to.at("backbone_model.norm.weight"), DType::kF32);
  EXPECT_EQ(to.at("embed_text_tokens.weight"), DType::kF16) << "as stored";
  EXPECT_EQ(to.at("decoder.layers.0.conv.weight"), DType::kF16) << "as stored";
  EXPECT_EQ(to.at("quantizer.acoustic_rvq.layers.0.codebook.embed_sum"), DType::kF32);
  EXPECT_EQ(to.at("upsample.conv.weight"), DType::kF32);
}

TEST(GgufPlan, RowsThatBlocksDoNotDivideAreNamed) {
  GgufTypes types;
  types.depth = WeightType::kQ4_K;
  const std::string message = error_of([&] { plan_gguf(*load("csm-tiny-b"), types); }, ErrorCode::kUnsupported);
  EXPECT_TRUE(contains(message, "Q8_0") || contains(message, "Q4_K")) << message;
  EXPECT_TRUE(contains(message, "depth decoder")) << message;
}

TEST(GgufConvert, EveryNumberComesBack) {
  for (const char* name : {"nano", "csm-tiny-b", "csm-tiny-f/hf-f32", "mimi-tiny-c"}) {
    const auto source = load(name);
    const GgufFile file = written(*source, parse_gguf_types("f32"));
    const auto again = Checkpoint::create(spec_of(name), file.tensors, name);
    EXPECT_TRUE(again->warnings().empty()) << name << again->warnings().front();
    ASSERT_EQ(again->names(), source->names());
    for (const std::string& tensor : source->names()) {
      EXPECT_EQ(values_of(again->tensor(tensor)), values_of(source->tensor(tensor))) << name << " " << tensor;
    }
  }
}

TEST(GgufConvert, HeadsArePaddedRows) {
  const auto source = load("nano");  // a vocabulary of 11
  const auto again = Checkpoint::create(spec_of("nano"), written(*source, {}).tensors, "nano");
  ASSERT_EQ(again->head_rows().size(), 2u);
  for (const TensorInfo& rows : again->head_rows()) {
    ASSERT_EQ(rows.shape[0], 16);
    const std::vector<float> values = values_of(rows);
    EXPECT_TRUE(std::all_of(values.begin() + 11 * rows.shape[1], values.end(), [](float value) { return value == 0; }));
  }
}

TEST(GgufConvert, AFileOfOursConvertsToItself) {
  const auto source = load("csm-tiny-b");
  const auto once = Checkpoint::create(spec_of("csm-tiny-b"), written(*source, {}).tensors, "once");
  const GgufFile first = written(*source, {});
  const GgufFile second = written(*once, {}, 3);
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  for (size_t i = 0; i < first.tensors.size(); ++i) {
    EXPECT_EQ(first.tensors[i].name, second.tensors[i].name);
    const TensorBytes a = first.tensors[i].fetch();
    const TensorBytes b = second.tensors[i].fetch();
    EXPECT_TRUE(std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end())) << first.tensors[i].name;
  }
}

TEST(GgufConvert, BadWeightsAreFound) {
  const auto with = [](float value) {
    std::vector<TensorInfo> tensors = weights_of("nano");
    TensorInfo& tensor = find(tensors, "backbone_model.layers.0.mlp.up_proj.weight");
    std::vector<float> values = values_of(tensor);
    values[5] = value;
    tensor = made(tensor.name, tensor.shape, values);
    return Checkpoint::create(spec_of("nano"), tensors, "nano", WeightCheck::kShapesOnly);
  };
  const auto nan = with(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(contains(error_of([&] { written(*nan, {}); }), "up_proj"));
  const auto large = with(1e6f);
  EXPECT_NO_THROW(written(*large, parse_gguf_types("bf16")));
  EXPECT_TRUE(contains(error_of([&] { written(*large, parse_gguf_types("f16")); }), "cannot hold"));
}

TEST(GgufConvert, ProgressGrowsAndMayStop) {
  const auto source = load("nano");
  uint64_t last = 0;
  int n_calls = 0;
  written(*source, {}, 1, [&](const std::string& name, uint64_t done) {
    EXPECT_FALSE(name.empty());
    EXPECT_GT(done, last);
    last = done;
    return ++n_calls > 0;
  });
  EXPECT_GE(n_calls, static_cast<int>(source->names().size()));
  EXPECT_NE(error_of([&] { written(*source, {}, 1, [](const std::string&, uint64_t) { return false; }); }, ErrorCode::kCancelled), "");
}

TEST(GgufConvert, ErrorsOfAThreadComeThrough) {
  const auto source = load("nano");
  const std::vector<GgufPlanEntry> plan = plan_gguf(*source, {});
  GgufWriter writer;
  for (const GgufPlanEntry& entry : plan) writer.add_tensor(entry.name, entry.to, entry.shape);
  writer.begin([](std::span<const std::byte>) {});
  const RowConverter broken = [](DType, const float*, std::byte*, int64_t, int64_t) { throw Error(ErrorCode::kUnsupported, "broken"); };
  EXPECT_EQ(error_of([&] { write_gguf_tensors(*source, plan, writer, broken, 4, {}); }, ErrorCode::kUnsupported), "broken");
}

}  // namespace
}  // namespace csm::test
