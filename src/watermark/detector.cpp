// find_watermark (csm/watermark.h): windows of the sound, speeds, keys; the best of all of them for each key.
//
// Sound is looked at in stretches of one period. Each two neighbours are a window, and so is the whole: an utterance
// inside a long file is found in a window, a faint mark in the whole.
#include <algorithm>
#include <cmath>

#include <csm/watermark.h>

#include "base/fail.h"
#include "watermark/correlate.h"
#include "watermark/regions.h"

namespace csm {

using namespace mark;

namespace {

constexpr size_t kMaxKnownPayloads = 64;
constexpr size_t kMaxKeys = 256;
constexpr int kSpeedStepHz = 48;  // 0.2 % of the rate
constexpr int kSpeedSteps = 16;   // to either side
constexpr int kIdleSpeeds = 6;    // tried in vain after the best so far

// A key and all that is looked for with it.
struct Target {
  struct Known {
    uint32_t payload;
    Pattern chips;
  };

  Target(const WatermarkKey& key, const std::vector<uint32_t>& payloads) : pattern(key.bytes) {
    for (const uint32_t payload : payloads) known.push_back({payload, pattern.chips(payload)});
  }

  KeyPattern pattern;
  std::vector<Known> known;
};

// A match, and where it was found.
struct Hit {
  Match match;
  double tail = 1;  // its probability by chance if it were the only try
  bool was_read = false;
  ChipRange chips;
  int rate_hz = kGridRateHz;  // what the sound was taken to have
};

// What one key has met so far.
struct Outcome {
  Hit best;
  std::vector<Hit> hits;  // those that are no chance
};

size_t count_windows(size_t n_chips) {
  const size_t n_stretches = (n_chips + kPeriod - 1) / kPeriod;
  return n_stretches <= 2 ? 1 : n_stretches;  // the pairs, and the whole where it is not one of them
}

// Calls fn(fold, chips) for each window. Holds three folds, however long the sound is.
template <typename Function>
void for_each_window(const std::vector<float>& sound, const Function& fn) {
  const SoundLevels levels(sound);
  const size_t n_chips = count_chips(sound.size());
  Fold whole, before;
  for (size_t first = 0; first < n_chips; first += kPeriod) {
    const size_t n = std::min(kPeriod, n_chips - first);
    Fold fold;
    fold.add(ChipScores(sound, first, n, levels));
    whole.add(fold);
    if (first > 0 && n_chips > 2 * kPeriod) {
      before.add(fold);
      fn(before, ChipRange{first - kPeriod, first + n});
    }
    before = std::move(fold);
  }
  fn(whole, ChipRange{0, n_chips});
}

Hit find_in(const Fold& fold, ChipRange chips, const Target& target, double enough, SoftDecoder& decoder) {
  const double n_kinds = target.known.empty() ? 1 : 2;
  Hit hit;
  hit.chips = chips;
  for (const Target::Known& known : target.known) {
    const Match match = match_known(fold, known.chips, known.payload);
    const double tail = known_false_positive(match.z, n_kinds * static_cast<double>(target.known.size()));
    if (tail < hit.tail) hit.match = match, hit.tail = tail;
  }
  if (hit.tail <= enough) return hit;
  const Match match = match_unknown(fold, target.pattern, decoder);
  const double tail = match.payload ? unknown_false_positive(match.z, n_kinds) : 1;
  if (tail < hit.tail) hit.match = match, hit.tail = tail, hit.was_read = true;
  return hit;
}

std::vector<float> at_rate(const std::vector<float>& sound, int rate_hz) {
  return rate_hz == kGridRateHz ? sound : resample({sound, rate_hz}, kGridRateHz).samples;
}

// Where the hits lie in the sound as it was given.
std::vector<WatermarkRegion> find_regions(const std::vector<float>& sound, const Target& target,
                                          const std::vector<Hit>& hits) {
  std::vector<WatermarkRegion> regions;
  for (const Hit& hit : hits) {
    const std::vector<float> at_speed = at_rate(sound, hit.rate_hz);
    const auto scores = chip_scores_at(at_speed, hit.match.alignment, SoundLevels(at_speed));
    const Pattern chips = target.pattern.chips(*hit.match.payload);
    for (const ChipRange& run : marked_runs(scores, chips, hit.match.shift, hit.chips)) {
      const double length = static_cast<double>(sound.size()) / kGridRateHz;
      const auto seconds = [&](size_t chip) {
        const double sample = static_cast<double>(hit.match.alignment * kOffsetSamples) +
                              (2.0 * static_cast<double>(chip) - 1.5) * kHop;
        return std::clamp(sample / kGridRateHz * hit.rate_hz / kGridRateHz, 0.0, length);
      };
      regions.push_back({seconds(run.begin), seconds(run.end), *hit.match.payload});
    }
  }
  return merge_regions(std::move(regions));
}

WatermarkFinding report(const std::vector<float>& sound, const WatermarkKey& key, const Target& target,
                        const Outcome& outcome, double n_tries, double probability_target) {
  const Hit& best = outcome.best;
  WatermarkFinding finding;
  finding.key_name = key.name;
  finding.z = best.match.z;
  finding.false_positive_probability = std::min(1.0, best.tail * n_tries);
  finding.found = finding.false_positive_probability <= probability_target;
  if (!finding.found) return finding;
  finding.payload = best.match.payload;
  finding.payload_was_read = best.was_read;
  finding.speed = static_cast<double>(kGridRateHz) / best.rate_hz;
  // Row 0 of the pattern: chip c with (c + shift) % kPeriod = 0. The middle of a chip's first window is its beginning.
  const double chip = static_cast<double>((kPeriod - best.match.shift) % kPeriod);
  const double sample = static_cast<double>(best.match.alignment * kOffsetSamples) + (2 * chip - 1) * kHop;
  const double period = 2.0 * kPeriod * kHop;
  finding.offset_seconds = std::fmod(sample + period, period) / kGridRateHz;
  finding.regions = find_regions(sound, target, outcome.hits);
  return finding;
}

// Whether anything came out better than before.
bool search_at(const std::vector<float>& sound, int rate_hz, const std::vector<Target>& targets, double enough,
               std::vector<Outcome>& outcomes) {
  SoftDecoder decoder;
  bool improved = false;
  const std::vector<float> at_speed = at_rate(sound, rate_hz);
  for_each_window(at_speed, [&](const Fold& fold, ChipRange chips) {
    for (size_t i = 0; i < targets.size(); ++i) {
      Hit hit = find_in(fold, chips, targets[i], enough, decoder);
      hit.rate_hz = rate_hz;
      if (hit.tail <= enough) outcomes[i].hits.push_back(hit);
      if (hit.tail >= outcomes[i].best.tail) continue;
      outcomes[i].best = hit;
      improved = true;
    }
  });
  return improved;
}

bool all_found(const std::vector<Outcome>& outcomes) {
  return std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& outcome) { return !outcome.hits.empty(); });
}

// From the sound's own speed outwards. A speed that is nearly right finds the mark too, so the search goes on for a while.
void search_speeds(const std::vector<float>& sound, const std::vector<Target>& targets, double enough,
                   std::vector<Outcome>& outcomes) {
  int n_idle = 0;
  for (int step = 1; step <= kSpeedSteps; ++step) {
    for (const int side : {-1, 1}) {
      if (all_found(outcomes) && n_idle >= kIdleSpeeds) return;
      const bool improved = search_at(sound, kGridRateHz + side * step * kSpeedStepHz, targets, enough, outcomes);
      n_idle = improved ? 0 : n_idle + 1;
    }
  }
}

}  // namespace

void WatermarkSearch::validate() const {
  if (keys.empty() || keys.size() > kMaxKeys) {
    fail(ErrorCode::kInvalidArgument, "watermark: expected 1 to {} keys, found {}", kMaxKeys, keys.size());
  }
  if (known_payloads.size() > kMaxKnownPayloads) {
    fail(ErrorCode::kInvalidArgument, "watermark: expected at most {} known payloads, found {}", kMaxKnownPayloads,
         known_payloads.size());
  }
  if (!(false_positive_target > 0 && false_positive_target < 1)) {
    fail(ErrorCode::kInvalidArgument, "watermark: expected a false positive probability between 0 and 1, found {}",
         false_positive_target);
  }
}

std::vector<WatermarkFinding> find_watermark(const Audio& audio, const WatermarkSearch& search) {
  search.validate();
  const std::vector<float> sound = resample(audio, kGridRateHz).samples;
  std::vector<Target> targets;
  for (const WatermarkKey& key : search.keys) targets.emplace_back(key, search.known_payloads);
  std::vector<Outcome> outcomes(targets.size());
  const double n_speeds = search.speeds ? 2 * kSpeedSteps + 1 : 1;
  const double n_tries = kHypotheses * static_cast<double>(count_windows(count_chips(sound.size()))) * n_speeds;
  const double enough = search.false_positive_target / n_tries;
  search_at(sound, kGridRateHz, targets, enough, outcomes);
  if (search.speeds && !all_found(outcomes)) search_speeds(sound, targets, enough, outcomes);
  std::vector<WatermarkFinding> findings;
  for (size_t i = 0; i < targets.size(); ++i) {
    findings.push_back(
        report(sound, search.keys[i], targets[i], outcomes[i], n_tries, search.false_positive_target));
  }
  return findings;
}

}  // namespace csm
