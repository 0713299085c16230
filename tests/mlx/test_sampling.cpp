// Codes drawn inside the graph against the one definition, Sampler::draw, on random logits with ties.
#include <gtest/gtest.h>

#include <random>

#include "backends/mlx/sampling.h"

namespace csm::mlx_backend {
namespace {

constexpr int kVocab = 70;
constexpr int kCodebooks = 3;

ModelSpec make_spec(int n_valid) {
  ModelSpec spec;
  spec.audio_vocab = kVocab;
  spec.n_codebooks = kCodebooks;
  spec.codec.codebook_size = n_valid;
  return spec;
}

// Coarse values, so that many are equal.
std::vector<float> random_logits(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = static_cast<float>(static_cast<int>(random() % 33) - 16) * 0.25f;
  return logits;
}

class DeviceSampling : public ::testing::Test {
 protected:
  FrameRequest request(uint64_t seed, uint32_t stream, uint32_t frame) {
    FrameRequest request;
    request.sampling = &sampling_;
    request.noise = {seed, stream, frame};
    return request;
  }

  void expect_equal(const std::vector<FrameRequest>& batch, const ModelSpec& spec, unsigned seed) {
    ASSERT_TRUE(SamplingPlan::covers(batch, spec));
    const SamplingPlan plan(batch, spec, device_->stream());
    Sampler sampler;
    for (int codebook = 0; codebook < kCodebooks; ++codebook) {
      const std::vector<float> logits =
          random_logits(batch.size() * kVocab, seed * 10 + static_cast<unsigned>(codebook));
      const mx::array drawn = plan.choose(codebook, to_array(logits, {static_cast<int>(batch.size()), kVocab}));
      evaluate({drawn});
      std::vector<int32_t> codes(batch.size());
      read(drawn, codes);
      for (size_t b = 0; b < batch.size(); ++b) {
        DrawContext context;
        context.codebook = codebook;
        context.n_valid_codes = spec.n_valid_codes();
        context.suppress_end = batch[b].suppress_end && codebook == 0;
        context.end_bias = end_bias_at(batch[b].stop_bias, codebook, {});
        const SamplingOptions& options = batch[b].sampling->at(codebook);
        const int32_t expected = batch[b].forced.empty()
                                     ? sampler.draw(std::span<const float>(logits).subspan(b * kVocab, kVocab), options,
                                                    context, batch[b].noise)
                                     : batch[b].forced[static_cast<size_t>(codebook)];
        EXPECT_EQ(codes[b], expected) << "codebook " << codebook << ", sequence " << b << ", seed " << seed;
      }
    }
  }

  std::shared_ptr<Device> device_ = Device::open("cpu");
  FrameSampling sampling_;
};

TEST_F(DeviceSampling, EveryCoveredOptionDrawsWhatTheSamplerDraws) {
  for (const float temperature : {0.0f, 0.4f, 0.9f, 30.0f}) {
    for (const int top_k : {0, 1, 5, 50, kVocab, 500}) {
      sampling_.backbone.temperature = sampling_.depth.temperature = temperature;
      sampling_.backbone.top_k = sampling_.depth.top_k = top_k;
      for (unsigned seed = 0; seed < 6; ++seed) {
        FrameRequest one = request(seed, 0, seed);
        FrameRequest two = request(seed + 99, 1, seed);
        one.suppress_end = seed % 2 == 0;
        expect_equal({one, two}, make_spec(seed % 3 == 0 ? kVocab : 64), seed);
      }
    }
  }
}

TEST_F(DeviceSampling, BiasesAndForcedCodes) {
  sampling_.backbone.logit_bias = {{3, 2.5f}, {7, -1.0f}};
  sampling_.depth.temperature = 0;
  const std::vector<int32_t> forced = {1, 69, 2};
  for (unsigned seed = 0; seed < 8; ++seed) {
    FrameRequest held = request(seed, 0, 1);
    held.forced = forced;
    FrameRequest free = request(seed, 1, 1);
    expect_equal({held, free}, make_spec(64), seed);
    expect_equal({held, held}, make_spec(64), seed);
    expect_equal({free}, make_spec(64), seed);
  }
}

TEST_F(DeviceSampling, SchedulesBiasesOfACodebookAndAStopBias) {
  sampling_.backbone.temperature_schedule = {{0, 1.5f}, {2, 0.0f}};
  sampling_.depth.temperature_schedule = sampling_.backbone.temperature_schedule;
  sampling_.depth.top_k_schedule = {{1, 40}, {2, 3}};
  sampling_.depth.logit_bias = {{5, 3.0f, 1}, {6, -4.0f, 2}, {9, 1.0f}};
  for (unsigned seed = 0; seed < 12; ++seed) {
    FrameRequest one = request(seed, 0, seed);
    FrameRequest two = request(seed + 99, 1, seed);
    one.stop_bias = -1.5f;
    expect_equal({one, two}, make_spec(64), seed);
  }
}

TEST_F(DeviceSampling, WhatItDoesNotCoverGoesToTheHost) {
  const ModelSpec spec = make_spec(64);
  const auto covers = [&](const FrameSampling& sampling) {
    FrameRequest one = request(1, 0, 0);
    one.sampling = &sampling;
    return SamplingPlan::covers({&one, 1}, spec);
  };
  FrameSampling sampling;
  EXPECT_TRUE(covers(sampling));
  sampling.depth.top_p = 0.9f;
  EXPECT_FALSE(covers(sampling));
  sampling = {};
  sampling.backbone.min_p = 0.1f;
  EXPECT_FALSE(covers(sampling));
  sampling = {};
  sampling.depth.repetition_penalty = 1.1f;
  EXPECT_FALSE(covers(sampling));
  sampling = {};
  sampling.backbone.frequency_penalty = 0.5f;
  EXPECT_FALSE(covers(sampling));
  sampling = {};
  sampling.backbone.logit_bias = {{0, -std::numeric_limits<float>::infinity()}};
  EXPECT_FALSE(covers(sampling));
  sampling.backbone.logit_bias = {{kVocab, 1.0f}};  // the sampler explains what is wrong with it
  EXPECT_FALSE(covers(sampling));
  FrameRequest eager = request(1, 0, 0);
  eager.stop_bias = 2;  // every codebook must look at those before it
  EXPECT_FALSE(SamplingPlan::covers({&eager, 1}, spec));
  FrameSampling other;
  other.backbone.temperature = 0.5f;
  const FrameSampling usual;
  FrameRequest a = request(1, 0, 0);
  FrameRequest b = request(1, 1, 0);
  a.sampling = &usual;
  b.sampling = &other;
  const std::vector<FrameRequest> batch = {a, b};
  EXPECT_FALSE(SamplingPlan::covers(batch, spec)) << "one top-k and temperature for the batch";
}

}  // namespace
}  // namespace csm::mlx_backend
