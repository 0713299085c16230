// csm trace: golden logits, greedy paths, and what --compare says of them.
#include <csm/tensors.h>

#include <cmath>

#include "program.h"

namespace csm::e2e {
namespace {

struct Case {
  const char* checkpoint;
  const char* gold;
  const char* conversation;
};

class TraceProgram : public ProgramTest {
 protected:
  static std::string gold(const Case& c, const std::string& kind) {
    return data(std::string("gold/") + c.gold + "/" + kind + "_" + c.conversation + ".safetensors");
  }

  static Arguments trace(const Case& c, const Arguments& more) {
    Arguments arguments = {"trace",    "--model",        data(std::string("ckpt/") + c.checkpoint), "--threads", "1",
                           "--prompt", gold(c, "prompt")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // What is written, against the golden file by a comparison of this test's own.
  void expect_golden(const std::string& golden_path) const {
    const TensorFile ours = read_tensors(path("out.safetensors"), {"logits", "hidden", "codes"});
    const TensorFile golden = read_tensors(golden_path, {"logits", "logits_stride64", "hidden", "codes"});
    EXPECT_EQ(ours.contents.size(), 3u);
    EXPECT_EQ(ours.tensors.at("codes").values, golden.tensors.at("codes").values);
    ASSERT_EQ(ours.tensors.at("codes").shape, golden.tensors.at("codes").shape);
    ASSERT_EQ(ours.tensors.at("hidden").shape, golden.tensors.at("hidden").shape);
    expect_near(ours.tensors.at("hidden"), golden.tensors.at("hidden"), 1, 1e-4);
    const bool whole = golden.tensors.count("logits") > 0;
    expect_near(ours.tensors.at("logits"), golden.tensors.at(whole ? "logits" : "logits_stride64"), whole ? 1 : 64,
                3e-4);
  }

  static void expect_near(const Tensor& ours, const Tensor& golden, size_t stride, double tolerance) {
    const auto& a = std::get<std::vector<float>>(ours.values);
    const auto& b = std::get<std::vector<float>>(golden.values);
    const auto width = static_cast<size_t>(golden.shape.back()), our_width = static_cast<size_t>(ours.shape.back());
    ASSERT_EQ((our_width + stride - 1) / stride, width);
    ASSERT_EQ(a.size() / our_width, b.size() / width);
    for (size_t i = 0; i < b.size(); ++i)
      ASSERT_NEAR(a[i / width * our_width + i % width * stride], b[i], tolerance) << i;
  }
};

const Case kForced[] = {{"csm-tiny-a", "csm-tiny-a", "ctx"},
                        {"csm-tiny-b", "csm-tiny-b", "ctx"},
                        {"csm-tiny-f/hf-f32", "csm-tiny-f-f32", "text"},
                        {"csm-tiny-f/original", "csm-tiny-f-f32", "eos"},
                        {"csm-tiny-f/hf-bf16", "csm-tiny-f-bf16", "eos"},
                        {"csm-tiny-f/hf-f16", "csm-tiny-f-f16", "eos"},
                        {"csm-tiny-f/hf-sharded-bf16", "csm-tiny-f-bf16", "eos"},
                        {"nano", "nano", "text"}};

TEST_F(TraceProgram, ForcedPathsHaveTheGoldenLogits) {
  for (const Case& c : kForced) {
    SCOPED_TRACE(c.checkpoint);
    const Outcome outcome = run(trace(c, {"--forced", gold(c, "forced"), "--out", path("out.safetensors")}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.out.empty());
    expect_golden(gold(c, "forced"));
  }
}

TEST_F(TraceProgram, GreedyPathsAreTheGoldenOnes) {
  const Case cases[] = {{"csm-tiny-a", "csm-tiny-a", "text"},
                        {"csm-tiny-a", "csm-tiny-a", "ctx"},
                        {"csm-tiny-b", "csm-tiny-b", "ctx"},
                        {"csm-tiny-f/hf-f32", "csm-tiny-f-f32", "text"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.checkpoint);
    ASSERT_EQ(run(trace(c, {"--greedy", "20", "--out", path("out.safetensors")})).code, 0);
    expect_golden(gold(c, "greedy"));
  }
}

TEST_F(TraceProgram, GreedyStopsAtTheAllZeroFrame) {
  const Case cases[] = {{"csm-tiny-f/hf-f32", "csm-tiny-f-f32", "eos"},
                        {"csm-tiny-f/hf-bf16", "csm-tiny-f-bf16", "eos"},
                        {"csm-tiny-f/hf-f16", "csm-tiny-f-f16", "eos"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.checkpoint);
    const Outcome outcome = run(trace(c, {"--greedy", "30", "--out", path("out.safetensors"), "--json"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.json().at("frames"), 8);
    EXPECT_EQ(outcome.json().at("ended"), true);
    EXPECT_EQ(read_tensors(path("out.safetensors"), {}).metadata.at("eos"), "True");
    expect_golden(gold(c, "greedy"));
  }
}

TEST_F(TraceProgram, CompareFindsAgreement) {
  for (const Case& c : kForced) {
    SCOPED_TRACE(c.checkpoint);
    const Outcome outcome = run(trace(c, {"--forced", gold(c, "forced"), "--compare", gold(c, "forced"), "--json"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const nlohmann::json comparison = outcome.json().at("comparison");
    EXPECT_TRUE(comparison.at("first_different_code").is_null());
    EXPECT_EQ(comparison.at("total").at("rows").get<size_t>(),
              comparison.at("frames").get<size_t>() * comparison.at("codebooks").size());
    EXPECT_LT(comparison.at("total").at("max_difference"), 3e-4);
    EXPECT_LT(comparison.at("total").at("mean_kl"), 1e-9);
    EXPECT_EQ(comparison.at("total").at("top1_agreement"), 1.0);
    for (const char* name : {"hidden", "lse", "chosen", "top_val"}) {
      EXPECT_LT(comparison.at("max_differences").at(name).get<double>(), 3e-4) << name;
    }
  }
}

TEST_F(TraceProgram, CompareMeasuresQuantisation) {
  const Case c{"csm-tiny-b", "csm-tiny-b", "ctx"};
  const auto kl = [&](const Arguments& type) {
    Arguments more = {"--forced", gold(c, "forced"), "--compare", gold(c, "forced"), "--json"};
    more.insert(more.end(), type.begin(), type.end());
    const nlohmann::json total = run(trace(c, more)).json().at("comparison").at("total");
    EXPECT_GT(total.at("top1_agreement"), 0.4);
    return total.at("mean_kl").get<double>();
  };
  const double f16 = kl({"--dtype", "f16"}), q8 = kl({"--quantize", "q8_0"}), q4 = kl({"--quantize", "q4_0"});
  EXPECT_LT(f16, 1e-3);
  EXPECT_LT(f16, q8);
  EXPECT_LT(q8, 0.01);
  EXPECT_LT(q8, q4);
  EXPECT_LT(q4, 1.0);
}

TEST_F(TraceProgram, CompareTableHasALineForEachCodebook) {
  const Case c{"nano", "nano", "text"};
  const Outcome outcome = run(trace(c, {"--forced", gold(c, "forced"), "--compare", gold(c, "forced")}));
  ASSERT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.out.empty());
  for (const char* part :
       {"max difference", "mean KL", "top-1", "\n       0 ", "\n       1 ", "\n     all ", "hidden", "codes: equal"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
  }
}

TEST_F(TraceProgram, CompareStopsWhereThePathsPart) {
  const Case c{"csm-tiny-f/hf-f32", "csm-tiny-f-f32", "text"};
  TensorFile golden = read_tensors(gold(c, "greedy"), {"logits", "codes"});
  auto& codes = std::get<std::vector<int32_t>>(golden.tensors.at("codes").values);
  codes[3 * 8 + 5] = codes[3 * 8 + 5] == 1 ? 2 : 1;
  write_tensors(path("other.safetensors"), golden);
  const Outcome outcome = run(trace(c, {"--greedy", "20", "--compare", path("other.safetensors"), "--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json comparison = outcome.json().at("comparison");
  EXPECT_EQ(comparison.at("first_different_code"), (nlohmann::json{{"frame", 3}, {"codebook", 5}}));
  EXPECT_EQ(comparison.at("total").at("rows"), 3 * 8 + 6);
  EXPECT_LT(comparison.at("total").at("max_difference"), 3e-4);
}

TEST_F(TraceProgram, ADumpedPromptAndATraceFitTogether) {
  const Arguments model = {"--model", demo_model(), "--threads", "1"};
  const auto with_model = [&](Arguments arguments) {
    arguments.insert(arguments.end(), model.begin(), model.end());
    return run(arguments);
  };
  ASSERT_EQ(with_model({"speak", "Good morning.", "--dump-prompt", path("p.safetensors")}).code, 0);
  ASSERT_EQ(
      with_model({"trace", "--prompt", path("p.safetensors"), "--greedy", "6", "--out", path("g.safetensors")}).code,
      0);
  const Outcome outcome = with_model({"trace", "--prompt", path("p.safetensors"), "--forced", path("g.safetensors"),
                                      "--compare", path("g.safetensors"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_LT(outcome.json().at("comparison").at("total").at("max_difference"), 1e-3);
}

TEST_F(TraceProgram, WhatDoesNotFitIsRefused) {
  const Case b{"csm-tiny-b", "csm-tiny-b", "ctx"};
  const Case f{"csm-tiny-f/hf-f32", "csm-tiny-f-f32", "text"};
  const std::string out = path("out.safetensors");
  EXPECT_TRUE(fails_with(run(trace(b, {"--out", out})), 2, "--forced FILE"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--greedy", "3"})), 2, "--out"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--greedy", "3", "--forced", gold(b, "forced"), "--out", out})), 2, "either"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--forced", gold(f, "forced"), "--out", out})), 1, "8 codebooks"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--forced", gold(b, "prompt"), "--out", out})), 1, "codes"));
  EXPECT_TRUE(fails_with(
      run({"trace", "--model", data("ckpt/csm-tiny-b"), "--prompt", gold(f, "prompt"), "--greedy", "3", "--out", out}),
      1, "9 columns"));
  EXPECT_TRUE(fails_with(
      run({"trace", "--model", data("ckpt/mimi-tiny-c"), "--prompt", gold(f, "prompt"), "--greedy", "3", "--out", out}),
      1, "codec"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--greedy", "1000000", "--out", out})), 1, "window"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--greedy", "2", "--compare", gold(f, "forced")})), 1, "for this model"));
  EXPECT_TRUE(fails_with(run(trace(b, {"--greedy", "2", "--compare", gold(b, "prompt")})), 1, "logits"));
  EXPECT_TRUE(files().empty());
}

TEST_F(TraceProgram, IdsOutsideTheTablesAreRefused) {
  const Case c{"nano", "nano", "text"};
  const TensorFile good = read_tensors(gold(c, "prompt"), {"frames", "mask"});
  for (const auto& [index, id] : std::vector<std::pair<size_t, int32_t>>{{2, -1}, {2, 1 << 30}, {5, -7}}) {
    TensorFile bad = good;
    std::get<std::vector<int32_t>>(bad.tensors.at("frames").values)[index] = id;
    std::get<std::vector<uint8_t>>(bad.tensors.at("mask").values)[index] = 1;
    write_tensors(path("p.safetensors"), bad);
    EXPECT_TRUE(fails_with(run({"trace", "--model", data("ckpt/nano"), "--prompt", path("p.safetensors"), "--greedy",
                                "1", "--out", path("out.safetensors")}),
                           1, std::to_string(id)));
  }
  EXPECT_EQ(files(), std::vector<std::string>{"p.safetensors"});
}

}  // namespace
}  // namespace csm::e2e
