// The sampler: golden distributions, the published vectors of its generator, draws that follow the distribution, and
// bad input.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include <csm/error.h>
#include "io/json.h"
#include "io/safetensors.h"
#include "model/philox.h"
#include "model/sampler.h"

namespace csm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const std::string kGold = std::string(CSM_TEST_DATA) + "/gold/sampling";

std::vector<float> floats(const TensorInfo& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.n_elements()));
  const TensorBytes bytes = tensor.fetch();
  widen_to_f32(tensor.type, bytes.data.data(), values.size(), values.data());
  return values;
}

std::vector<double> softmax(const std::vector<float>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probabilities;
  double total = 0;
  for (const float logit : logits) {
    probabilities.push_back(std::exp(logit - largest));
    total += probabilities.back();
  }
  for (double& p : probabilities) p /= total;
  return probabilities;
}

DrawContext at(int codebook) {
  DrawContext context;
  context.codebook = codebook;
  return context;
}

SamplingOptions neutral() {
  SamplingOptions options;
  options.temperature = 1;
  options.top_k = 0;
  return options;
}

// Options, history and context of one case of the goldens.
struct Case {
  SamplingOptions options = neutral();
  std::vector<int32_t> history;
  DrawContext context;
};

Case read_case(const nlohmann::json& item) {
  Case result;
  SamplingOptions& o = result.options;
  o.temperature = item.value("temperature", 1.0f);
  o.top_k = item.value("top_k", 0);
  o.top_p = item.value("top_p", 1.0f);
  o.min_p = item.value("min_p", 0.0f);
  o.repetition_penalty = item.value("repetition_penalty", 1.0f);
  o.frequency_penalty = item.value("frequency_penalty", 0.0f);
  o.presence_penalty = item.value("presence_penalty", 0.0f);
  if (item.contains("logit_bias")) {
    for (const auto& [id, value] : item["logit_bias"].items())
      o.logit_bias.push_back({std::stoi(id), value.get<float>()});
  }
  result.history = item.value("history", std::vector<int32_t>{});
  result.context.n_valid_codes = item.value("mask_from", 0);
  result.context.suppress_end = item.value("suppress_eos", false);
  return result;
}

TEST(Sampler, GoldenDistributions) {
  std::map<std::string, std::vector<float>> tensors;
  for (const TensorInfo& tensor : read_safetensors(kGold + ".safetensors")) tensors[tensor.name] = floats(tensor);
  const nlohmann::json document = parse_json_file(kGold + ".json", 1 << 20);
  Sampler sampler;
  int n_cases = 0;
  for (const auto& item : document.at("cases")) {
    const std::string name = item.at("probs").get<std::string>();
    Case c = read_case(item);
    c.context.history = c.history;
    std::vector<float> logits = tensors.at(item.at("logits").get<std::string>());
    sampler.filter(logits, c.options, c.context);
    std::vector<double> ours = softmax(logits);
    const auto n_kept = std::count_if(ours.begin(), ours.end(), [](double p) { return static_cast<float>(p) > 0; });
    EXPECT_EQ(n_kept, item.at("kept").get<int>()) << name;
    std::vector<float> theirs = tensors.at(name);
    if (item.at("compare") == "sorted") {
      std::sort(ours.begin(), ours.end());
      std::sort(theirs.begin(), theirs.end());
    }
    ASSERT_EQ(ours.size(), theirs.size()) << name;
    for (size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], 1e-6) << name << " id " << i;
    ++n_cases;
  }
  EXPECT_GE(n_cases, 44);
}

// The known answers that come with Random123.
TEST(Philox, PublishedVectors) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32_10({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(GumbelNoise, HasTheMomentsOfItsDistribution) {
  constexpr int kDraws = 200'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double g = gumbel_noise({7, 0, static_cast<uint32_t>(i)}, 3, 11);
    ASSERT_TRUE(std::isfinite(g));
    sum += g;
    squares += g * g;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.57721566, 0.015);                           // Euler's constant
  EXPECT_NEAR(squares / kDraws - mean * mean, 1.64493407, 0.04);  // pi^2 / 6
}

TEST(GumbelNoise, DependsOnEveryPartOfTheKey) {
  const float base = gumbel_noise({1, 2, 3}, 4, 5);
  EXPECT_EQ(base, gumbel_noise({1, 2, 3}, 4, 5));
  std::set<float> values = {base};
  for (const float other :
       {gumbel_noise({1ull << 32, 2, 3}, 4, 5), gumbel_noise({2, 2, 3}, 4, 5), gumbel_noise({1, 3, 3}, 4, 5),
        gumbel_noise({1, 2, 4}, 4, 5), gumbel_noise({1, 2, 3}, 5, 5), gumbel_noise({1, 2, 3}, 4, 6)}) {
    EXPECT_TRUE(values.insert(other).second);
  }
}

TEST(Sampler, DrawsFollowTheFilteredDistribution) {
  Sampler sampler;
  SamplingOptions options = neutral();
  options.temperature = 0.8f;
  options.top_k = 4;
  const std::vector<float> logits = {1.0f, 0.2f, -3.0f, 1.5f, 0.9f, 0.0f, -1.0f, 0.3f};
  std::vector<float> filtered = logits;
  sampler.filter(filtered, options, {});
  const std::vector<double> expected = softmax(filtered);
  constexpr int kDraws = 40'000;
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < kDraws; ++i)
    ++counts[static_cast<size_t>(sampler.draw(logits, options, at(2), {42, 1, static_cast<uint32_t>(i)}))];
  for (size_t id = 0; id < logits.size(); ++id) {
    const double deviation = std::sqrt(expected[id] * (1 - expected[id]) / kDraws);
    EXPECT_NEAR(static_cast<double>(counts[id]) / kDraws, expected[id], 5 * deviation) << id;
  }
}

// The noise belongs to the id: taking an id away that was not drawn changes nothing.
TEST(Sampler, NoiseBelongsToTheId) {
  Sampler sampler;
  const SamplingOptions options = neutral();
  const std::vector<float> logits = {0.5f, 0.1f, 0.3f, 0.2f};
  for (uint32_t frame = 0; frame < 200; ++frame) {
    const int32_t drawn = sampler.draw(logits, options, {}, {9, 0, frame});
    std::vector<float> fewer = logits;
    fewer[drawn == 3 ? 2 : 3] = -kInfinity;
    EXPECT_EQ(sampler.draw(fewer, options, {}, {9, 0, frame}), drawn);
  }
}

TEST(Sampler, GreedyTakesTheLowestOfEqualIds) {
  Sampler sampler;
  SamplingOptions options;
  options.temperature = 0;
  options.top_k = 1;
  EXPECT_EQ(sampler.draw(std::vector<float>{0.0f, 3.0f, 3.0f, -1.0f}, options, {}, {}), 1);
  DrawContext context;
  context.n_valid_codes = 2;
  EXPECT_EQ(sampler.draw(std::vector<float>{1.0f, 0.5f, 9.0f}, options, context, {}), 0);
  context.suppress_end = true;
  EXPECT_EQ(sampler.draw(std::vector<float>{1.0f, 0.5f, 9.0f}, options, context, {}), 1);
  options.logit_bias = {{0, 5.0f}, {2, 5.0f}};
  EXPECT_EQ(sampler.draw(std::vector<float>{1.0f, 0.5f, 0.9f}, options, {}, {}), 0);
}

TEST(Sampler, PenaltiesLookAtTheHistory) {
  Sampler sampler;
  SamplingOptions options = neutral();
  options.repetition_penalty = 2;
  options.frequency_penalty = 0.5f;
  options.presence_penalty = 0.25f;
  const std::vector<int32_t> history = {2, 0, 2};
  DrawContext context;
  context.history = history;
  std::vector<float> logits = {4.0f, 1.0f, -1.0f};
  sampler.filter(logits, options, context);
  EXPECT_FLOAT_EQ(logits[0], 4.0f / 2 - 0.5f - 0.25f);
  EXPECT_FLOAT_EQ(logits[1], 1.0f);
  EXPECT_FLOAT_EQ(logits[2], -1.0f * 2 - 2 * 0.5f - 0.25f);
}

TEST(Sampler, BrokenLogitsAreDefined) {
  Sampler sampler;
  SamplingOptions sampled = neutral();
  SamplingOptions greedy = neutral();
  greedy.temperature = 0;
  for (const SamplingOptions& options : {sampled, greedy}) {
    EXPECT_EQ(sampler.draw(std::vector<float>{kNan, -kInfinity, 0.0f, kNan}, options, {}, {}), 2);
    EXPECT_EQ(sampler.draw(std::vector<float>{0.0f, kInfinity, 1.0f}, options, {}, {}), 1);
    try {
      sampler.draw(std::vector<float>{kNan, -kInfinity}, options, at(5), {});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData);
      EXPECT_NE(std::string(error.what()).find("codebook 5"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(sampler.draw(std::vector<float>{}, sampled, {}, {}), Error);
  sampled.logit_bias = {{3, 1.0f}};
  EXPECT_THROW(sampler.draw(std::vector<float>{0.0f, 1.0f, 2.0f}, sampled, {}, {}), Error);
}

TEST(Sampler, ABiasOfACodebookActsThereAlone) {
  Sampler sampler;
  SamplingOptions options = neutral();
  options.logit_bias = {{1, 2.0f, 3}, {1, 0.5f}, {2, -kInfinity, 4}};
  const auto filtered = [&](int codebook) {
    std::vector<float> logits = {0, 0, 0};
    sampler.filter(logits, options, at(codebook));
    return logits;
  };
  EXPECT_EQ(filtered(0), (std::vector<float>{0, 0.5f, 0}));
  EXPECT_EQ(filtered(3), (std::vector<float>{0, 2.5f, 0}));
  EXPECT_EQ(filtered(4), (std::vector<float>{0, 0.5f, -kInfinity}));
}

TEST(Sampler, SchedulesAreLinearBetweenTheirPoints) {
  SamplingOptions options = neutral();
  options.temperature_schedule = {{1, 0.9f}, {5, 0.5f}, {8, 0.0f}};
  const float expected[] = {0.9f, 0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.5f * 2 / 3, 0.5f / 3, 0, 0};
  for (int codebook = 0; codebook < 10; ++codebook) {
    EXPECT_NEAR(temperature_at(options, codebook), expected[codebook], 1e-6) << codebook;
  }
  options.top_k_schedule = {{0, 50}, {4, 11}, {6, 0}, {7, 3}};
  const int ks[] = {50, 40, 31, 21, 11, 11, 0, 3, 3};
  for (int codebook = 0; codebook < 9; ++codebook) EXPECT_EQ(top_k_at(options, codebook), ks[codebook]) << codebook;
  EXPECT_EQ(top_k_at(neutral(), 3), 0);
}

// What a schedule gives at a codebook is what the plain setting gives: the distributions of the goldens hold for it.
TEST(Sampler, AScheduledCodebookDrawsAsWithThePlainSetting) {
  Sampler sampler;
  std::vector<float> logits(60);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i * i));
  SamplingOptions scheduled;
  scheduled.temperature_schedule = {{0, 1.5f}, {4, 0.5f}};
  scheduled.top_k_schedule = {{0, 40}, {4, 20}};
  for (int codebook = 0; codebook < 6; ++codebook) {
    SamplingOptions plain;
    plain.temperature = temperature_at(scheduled, codebook);
    plain.top_k = top_k_at(scheduled, codebook);
    std::vector<float> a = logits;
    std::vector<float> b = logits;
    sampler.filter(a, scheduled, at(codebook));
    sampler.filter(b, plain, at(codebook));
    EXPECT_EQ(a, b) << codebook;
    for (uint32_t frame = 0; frame < 50; ++frame) {
      EXPECT_EQ(sampler.draw(logits, scheduled, at(codebook), {3, 0, frame}),
                sampler.draw(logits, plain, at(codebook), {3, 0, frame}));
    }
  }
}

TEST(Sampler, TheStopBiasFollowsTheEnd) {
  const std::vector<int32_t> zeros = {0, 0, 0};
  const std::vector<int32_t> speech = {0, 7, 0};
  EXPECT_EQ(end_bias_at(2, 0, {}), 2);
  EXPECT_EQ(end_bias_at(-2, 0, {}), -2);
  EXPECT_EQ(end_bias_at(2, 3, zeros), 2);
  EXPECT_EQ(end_bias_at(2, 3, speech), 0);
  EXPECT_EQ(end_bias_at(-2, 3, zeros), 0) << "an end that has begun is not broken";
  Sampler sampler;
  std::vector<float> logits = {1, 1};
  DrawContext context;
  context.end_bias = 2;
  sampler.filter(logits, neutral(), context);
  EXPECT_EQ(logits, (std::vector<float>{3, 1}));
}

TEST(Sampler, OptionsThatTheModelDoesNotHaveAreNamed) {
  const auto message = [](const std::function<void(SamplingOptions&)>& change) {
    SamplingOptions options;
    change(options);
    try {
      check_sampling(options, "depth sampling", 8, 515);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([](SamplingOptions& o) { o.logit_bias = {{514, 1.0f, 7}}; }), "");
  EXPECT_EQ(message([](SamplingOptions& o) { o.logit_bias = {{515, 1.0f}}; }),
            "depth sampling: id of logit_bias is 515; expected 0..514 with this model");
  EXPECT_EQ(message([](SamplingOptions& o) { o.logit_bias = {{5, 1.0f, 8}}; }),
            "depth sampling: codebook of logit_bias is 8; expected -1..7 with this model (-1 = all)");
  EXPECT_EQ(message([](SamplingOptions& o) { o.temperature_schedule = {{9, 1.0f}}; }),
            "depth sampling: codebook of temperature_schedule is 9; expected 0..7 with this model");
  EXPECT_EQ(message([](SamplingOptions& o) { o.temperature_schedule = {{1, 1.0f}, {1, 2.0f}}; }),
            "depth sampling: temperature_schedule names codebook 1 after 1; expected rising numbers from 0");
  EXPECT_EQ(message([](SamplingOptions& o) { o.top_k_schedule = {{0, -2.0f}}; }),
            "depth sampling: top_k_schedule is -2; expected 0..1048576 (0 = off)");
  EXPECT_NE(message([](SamplingOptions& o) { o.temperature_schedule = {{0, kNan}}; }), "");
}

TEST(Sampler, TinyTemperatureIsNearlyGreedy) {
  Sampler sampler;
  SamplingOptions options = neutral();
  options.temperature = 1e-6f;
  for (uint32_t frame = 0; frame < 100; ++frame) {
    EXPECT_EQ(sampler.draw(std::vector<float>{1.0f, 1.01f, 0.99f}, options, {}, {3, 0, frame}), 1);
  }
}

// What a rejected option's message says.
std::string message_of(const SamplingOptions& options) {
  try {
    options.validate("backbone sampling");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(SamplingOptions, ValidateNamesFieldRangeAndValue) {
  EXPECT_EQ(message_of({}), "");
  SamplingOptions options;
  options.temperature = -1;
  EXPECT_NE(message_of(options).find("backbone sampling: temperature is -1; expected"), std::string::npos)
      << message_of(options);
  options.temperature = kNan;
  EXPECT_NE(message_of(options).find("temperature"), std::string::npos);
  options.temperature = 0;
  EXPECT_EQ(message_of(options), "");
  const auto rejects = [](auto change, const char* field) {
    SamplingOptions bad;
    change(bad);
    EXPECT_NE(message_of(bad).find(field), std::string::npos) << field << ": " << message_of(bad);
  };
  rejects([](SamplingOptions& o) { o.top_k = -1; }, "top_k");
  rejects([](SamplingOptions& o) { o.top_p = 0; }, "top_p");
  rejects([](SamplingOptions& o) { o.top_p = 1.5f; }, "top_p");
  rejects([](SamplingOptions& o) { o.min_p = 1; }, "min_p");
  rejects([](SamplingOptions& o) { o.min_p = -0.1f; }, "min_p");
  rejects([](SamplingOptions& o) { o.repetition_penalty = 0; }, "repetition_penalty");
  rejects([](SamplingOptions& o) { o.frequency_penalty = kInfinity; }, "frequency_penalty");
  rejects([](SamplingOptions& o) { o.presence_penalty = kNan; }, "presence_penalty");
  rejects([](SamplingOptions& o) { o.penalty_window = -1; }, "penalty_window");
  rejects([](SamplingOptions& o) { o.logit_bias = {{-1, 0.0f}}; }, "logit_bias");
  rejects([](SamplingOptions& o) { o.logit_bias = {{1, kInfinity}}; }, "logit_bias");
}

}  // namespace
}  // namespace csm
