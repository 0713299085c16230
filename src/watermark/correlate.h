// One stretch of sound against one key: every alignment, every place in the period, known payloads and unknown ones.
//
// Place in the flow: chip scores -> folded scores -> correlation. All of it is one hypothesis test repeated: for a key
// that did not mark the sound, the signs are independent of it, so each correlation over its norm is at most as wild as
// a standard normal variable. Values; any thread.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "watermark/analysis.h"
#include "watermark/pattern.h"

namespace csm::mark {

inline constexpr double kHypotheses = static_cast<double>(kAlignments * kPeriod);

// Scores summed over all repeats of the period, one table for each alignment.
class Fold {
 public:
  // The first of the chips goes to the table's first row: they begin a whole number of periods into the sound.
  void add(const ChipScores& scores);
  void add(const Fold& other);

  const Pattern& table(size_t alignment) const { return tables_[alignment]; }
  double norm(size_t alignment) const;

 private:
  std::vector<Pattern> tables_ = std::vector<Pattern>(kAlignments, Pattern{});
};

// Where the sound agrees best with what was looked for.
struct Match {
  double z = 0;
  size_t alignment = 0;
  size_t shift = 0;  // row r of the fold is row (r + shift) % kPeriod of the key's pattern
  std::optional<uint32_t> payload;
};

// The best over all hypotheses for chips that are known.
Match match_known(const Fold& fold, const Pattern& chips, uint32_t payload);
// The best that can be read, with a checksum that is right; none: z 0 and no payload.
Match match_unknown(const Fold& fold, const KeyPattern& key, SoftDecoder& decoder);

// The probability that a standard normal variable exceeds z.
double normal_tail(double z);
// Of finding z or more in sound that is not marked. n_tries: hypotheses for a known payload.
double known_false_positive(double z, double n_tries);
// The same for a payload that was read: any of 2^32 may come out.
double unknown_false_positive(double z, double n_tries);

}  // namespace csm::mark
