#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/fail.h"
#include "model/philox.h"

namespace csm {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr double kMinTemperature = 1e-6;
constexpr double kMaxTemperature = 100;
constexpr double kMaxPenalty = 1e6;
constexpr double kMaxScheduledTopK = 1 << 20;  // more than any vocabulary, and exact as a float
constexpr double kTwoToMinus32 = 1.0 / 4294967296.0;

void check_range(const char* what, const char* field, double value, double min, double max, const char* note) {
  if (value >= min && value <= max) return;
  fail(ErrorCode::kInvalidArgument, "{}: {} is {}; expected {}..{}{}", what, field, value, min, max, note);
}

void add_bias(std::span<float> logits, const SamplingOptions& options, const DrawContext& context) {
  for (const LogitBias& bias : options.logit_bias) {
    if (bias.id < 0 || static_cast<size_t>(bias.id) >= logits.size()) {
      fail(ErrorCode::kInvalidArgument, "logit_bias names id {}; expected 0..{}", bias.id, logits.size() - 1);
    }
    if (bias.codebook != LogitBias::kAllCodebooks && bias.codebook != context.codebook) continue;
    logits[static_cast<size_t>(bias.id)] += bias.value;
  }
  logits[0] += context.end_bias;
}

// The points of a schedule around a codebook, and how far it lies between them.
struct Place {
  const SchedulePoint& below;
  const SchedulePoint& above;
  float part = 0;  // 0 at below, 1 at above
};

Place find_place(const Schedule& schedule, int codebook) {
  const auto above = std::find_if(schedule.begin(), schedule.end(),
                                  [&](const SchedulePoint& point) { return point.codebook >= codebook; });
  if (above == schedule.begin()) return {schedule.front(), schedule.front(), 0};
  if (above == schedule.end()) return {schedule.back(), schedule.back(), 0};
  const SchedulePoint& below = *(above - 1);
  const auto width = static_cast<float>(above->codebook - below.codebook);
  return {below, *above, static_cast<float>(codebook - below.codebook) / width};
}

float blend(const Place& place) { return place.below.value + (place.above.value - place.below.value) * place.part; }

void check_temperature(const char* what, const char* field, float value) {
  if (value != 0) check_range(what, field, value, kMinTemperature, kMaxTemperature, ", or 0 for greedy");
}

void check_order(const char* what, const char* field, const Schedule& schedule) {
  int before = -1;
  for (const SchedulePoint& point : schedule) {
    if (point.codebook <= before) {
      fail(ErrorCode::kInvalidArgument, "{}: {} names codebook {} after {}; expected rising numbers from 0", what, field,
           point.codebook, before);
    }
    before = point.codebook;
  }
}

// seen: scratch for the history in ascending order, so that equal ids lie together.
void subtract_penalties(std::span<float> logits, const SamplingOptions& options, std::span<const int32_t> history,
                        std::vector<int32_t>& seen) {
  const bool off = options.repetition_penalty == 1 && options.frequency_penalty == 0 && options.presence_penalty == 0;
  if (off || history.empty()) return;
  seen.assign(history.begin(), history.end());
  std::sort(seen.begin(), seen.end());
  if (seen.front() < 0 || static_cast<size_t>(seen.back()) >= logits.size()) {
    fail(ErrorCode::kInternal, "history for penalties holds ids {}..{} of {} logits", seen.front(), seen.back(),
         logits.size());
  }
  for (size_t begin = 0; begin < seen.size();) {
    const size_t end = static_cast<size_t>(
        std::upper_bound(seen.begin() + static_cast<std::ptrdiff_t>(begin), seen.end(), seen[begin]) - seen.begin());
    float& logit = logits[static_cast<size_t>(seen[begin])];
    logit = logit < 0 ? logit * options.repetition_penalty : logit / options.repetition_penalty;
    logit -= static_cast<float>(end - begin) * options.frequency_penalty + options.presence_penalty;
    begin = end;
  }
}

void mask(std::span<float> logits, const DrawContext& context) {
  if (context.suppress_end) logits[0] = kExcluded;
  const auto n_valid = static_cast<size_t>(std::max(context.n_valid_codes, 0));
  if (n_valid > 0 && n_valid < logits.size())
    std::fill(logits.begin() + static_cast<std::ptrdiff_t>(n_valid), logits.end(), kExcluded);
}

// NaN never wins; an overflowed logit is the largest number, so that differences stay defined.
float cleaned(float logit) {
  logit = logit > kLargest ? kLargest : logit;
  return logit >= kExcluded ? logit : kExcluded;
}

// The k-th largest of the logits. For the usual small k a heap of the largest so far: most logits cost one comparison.
float kth_largest(std::span<const float> logits, size_t k, std::vector<float>& values) {
  const std::greater<float> greater;
  if (k > logits.size() / 8) {
    values.assign(logits.begin(), logits.end());
    const auto kth = values.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(values.begin(), kth, values.end(), greater);
    return *kth;
  }
  values.assign(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(k));
  std::make_heap(values.begin(), values.end(), greater);
  for (const float logit : logits.subspan(k)) {
    if (logit <= values.front()) continue;
    std::pop_heap(values.begin(), values.end(), greater);
    values.back() = logit;
    std::push_heap(values.begin(), values.end(), greater);
  }
  return values.front();
}

// Everything below the k-th largest goes; what equals it stays, however many there are.
void keep_top_k(std::span<float> logits, int top_k, std::vector<float>& values) {
  if (top_k <= 0 || static_cast<size_t>(top_k) >= logits.size()) return;
  const float threshold = kth_largest(logits, static_cast<size_t>(top_k), values);
  for (float& logit : logits) logit = logit < threshold ? kExcluded : logit;
}

// The most probable ids until their sum reaches top_p, at least one; of equal ones the lower ids first.
void keep_top_p(std::span<float> logits, float top_p, std::vector<int32_t>& order) {
  if (top_p >= 1) return;
  order.clear();
  for (size_t id = 0; id < logits.size(); ++id) {
    if (logits[id] > kExcluded) order.push_back(static_cast<int32_t>(id));
  }
  if (order.empty()) return;
  const auto logit = [&](int32_t id) -> float& { return logits[static_cast<size_t>(id)]; };
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  const double largest = logit(order.front());
  double total = 0;
  for (const int32_t id : order) total += std::exp(logit(id) - largest);
  double before = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double probability = std::exp(logit(order[i]) - largest) / total;
    if (i > 0 && before >= top_p) logit(order[i]) = kExcluded;
    before += probability;
  }
}

// Ids less probable than min_p times the most probable one go.
void keep_min_p(std::span<float> logits, float min_p) {
  if (min_p <= 0) return;
  const double largest = *std::max_element(logits.begin(), logits.end());
  for (float& logit : logits) {
    if (std::exp(logit - largest) < min_p) logit = kExcluded;
  }
}

}  // namespace

void SamplingOptions::validate(const char* what) const {
  check_temperature(what, "temperature", temperature);
  check_range(what, "top_k", top_k, 0, std::numeric_limits<int>::max(), " (0 = off)");
  check_range(what, "top_p", top_p, kMinTemperature, 1, " (1 = off)");
  check_range(what, "min_p", min_p, 0, 1, " (0 = off)");
  if (min_p == 1)
    fail(ErrorCode::kInvalidArgument, "{}: min_p is 1; expected less than 1 (temperature 0 is greedy)", what);
  check_range(what, "repetition_penalty", repetition_penalty, 1 / kMaxPenalty, kMaxPenalty, " (1 = off)");
  check_range(what, "frequency_penalty", frequency_penalty, -kMaxPenalty, kMaxPenalty, " (0 = off)");
  check_range(what, "presence_penalty", presence_penalty, -kMaxPenalty, kMaxPenalty, " (0 = off)");
  check_range(what, "penalty_window", penalty_window, 0, std::numeric_limits<int>::max(), " frames (0 = all)");
  constexpr int kAnyInt = std::numeric_limits<int>::max();
  for (const LogitBias& bias : logit_bias) {
    check_range(what, "id of logit_bias", bias.id, 0, kAnyInt, "");
    check_range(what, "codebook of logit_bias", bias.codebook, LogitBias::kAllCodebooks, kAnyInt, " (-1 = all)");
    const bool usable = std::isfinite(bias.value) || bias.value == kExcluded;
    if (!usable) {
      fail(ErrorCode::kInvalidArgument, "{}: logit_bias of id {} is {}; expected a number or -inf", what, bias.id,
           bias.value);
    }
  }
  check_order(what, "temperature_schedule", temperature_schedule);
  for (const SchedulePoint& point : temperature_schedule)
    check_temperature(what, "temperature_schedule", point.value);
  check_order(what, "top_k_schedule", top_k_schedule);
  for (const SchedulePoint& point : top_k_schedule)
    check_range(what, "top_k_schedule", point.value, 0, kMaxScheduledTopK, " (0 = off)");
}

float temperature_at(const SamplingOptions& options, int codebook) {
  if (options.temperature_schedule.empty()) return options.temperature;
  return blend(find_place(options.temperature_schedule, codebook));
}

int top_k_at(const SamplingOptions& options, int codebook) {
  if (options.top_k_schedule.empty()) return options.top_k;
  const Place place = find_place(options.top_k_schedule, codebook);
  const bool is_off = place.below.value < 1 || place.above.value < 1;
  const float value = !is_off ? blend(place) : place.part < 1 ? place.below.value : place.above.value;
  return static_cast<int>(std::lround(value));
}

float end_bias_at(float stop_bias, int codebook, std::span<const int32_t> codes_before) {
  if (codebook == 0) return stop_bias;
  const bool is_end_so_far =
      std::all_of(codes_before.begin(), codes_before.end(), [](int32_t code) { return code == 0; });
  return is_end_so_far && stop_bias > 0 ? stop_bias : 0;
}

void check_sampling(const SamplingOptions& options, const char* what, int n_codebooks, int audio_vocab) {
  options.validate(what);
  for (const LogitBias& bias : options.logit_bias) {
    check_range(what, "id of logit_bias", bias.id, 0, audio_vocab - 1, " with this model");
    check_range(what, "codebook of logit_bias", bias.codebook, LogitBias::kAllCodebooks, n_codebooks - 1,
                " with this model (-1 = all)");
  }
  for (const SchedulePoint& point : options.temperature_schedule)
    check_range(what, "codebook of temperature_schedule", point.codebook, 0, n_codebooks - 1, " with this model");
  for (const SchedulePoint& point : options.top_k_schedule)
    check_range(what, "codebook of top_k_schedule", point.codebook, 0, n_codebooks - 1, " with this model");
}

float gumbel_noise(const NoiseKey& key, uint32_t codebook, uint32_t id) {
  const auto words = philox4x32_10({key.stream, key.frame, codebook, id},
                                   {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
  const double u = (static_cast<double>(words[0]) + 0.5) * kTwoToMinus32;  // never 0 nor 1: both logarithms are finite
  return static_cast<float>(-std::log(-std::log(u)));
}

void Sampler::filter(std::span<float> logits, const SamplingOptions& options, const DrawContext& context) {
  if (logits.empty()) fail(ErrorCode::kInternal, "no logits to filter");
  add_bias(logits, options, context);
  subtract_penalties(logits, options, context.history, order_);
  mask(logits, context);
  for (float& logit : logits) logit = cleaned(logit);
  const float temperature = temperature_at(options, context.codebook);
  if (temperature == 0) return;  // greedy
  for (float& logit : logits) logit = cleaned(logit / temperature);
  keep_top_k(logits, top_k_at(options, context.codebook), sorted_);
  keep_top_p(logits, options.top_p, order_);
  keep_min_p(logits, options.min_p);
}

int32_t Sampler::draw(std::span<const float> logits, const SamplingOptions& options, const DrawContext& context,
                      const NoiseKey& key) {
  work_.assign(logits.begin(), logits.end());
  filter(work_, options, context);
  const bool greedy = temperature_at(options, context.codebook) == 0;
  const auto codebook = static_cast<uint32_t>(context.codebook);
  int32_t best = -1;
  float best_score = kExcluded;
  for (size_t id = 0; id < work_.size(); ++id) {
    if (!(work_[id] > kExcluded)) continue;
    const float score = greedy ? work_[id] : work_[id] + gumbel_noise(key, codebook, static_cast<uint32_t>(id));
    if (best >= 0 && !(score > best_score)) continue;
    best = static_cast<int32_t>(id);
    best_score = score;
  }
  if (best < 0) {
    fail(ErrorCode::kInvalidData,
         "no code can be drawn for codebook {} of frame {}: all {} logits are NaN, -inf or masked; check the "
         "weights and logit_bias",
         codebook, key.frame, work_.size());
  }
  return best;
}

}  // namespace csm
