#include "watermark/correlate.h"

#include <algorithm>
#include <cmath>

namespace csm::mark {
namespace {

constexpr size_t kLanes = 8;           // sums in a row, so that a compiler may do them at once
constexpr size_t kReadCandidates = 16;  // hypotheses whose best paths are looked at one by one
constexpr size_t kPathsPerCandidate = 16;
constexpr double kPayloads = 4294967296.0;

float dot(const float* a, const float* b, size_t n) {
  std::array<float, kLanes> sums{};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float lane : sums) sum += lane;
  return sum;
}

// Sum over rows of the table times the pattern moved by `shift` rows.
double correlate(const Pattern& table, const Pattern& chips, size_t shift) {
  const size_t split = (kPeriod - shift) * kTiles;  // from here on the pattern begins again
  return static_cast<double>(dot(table.data(), chips.data() + shift * kTiles, split)) +
         static_cast<double>(dot(table.data() + split, chips.data(), shift * kTiles));
}

CodedBits soft_bits(const Pattern& table, const KeyPattern& key, size_t shift) {
  CodedBits soft{};
  for (size_t row = 0; row < kPeriod; ++row) key.gather(&table[row * kTiles], (row + shift) % kPeriod, soft);
  return soft;
}

double correlation(const CodedBits& soft, const CodedBits& coded) {
  return static_cast<double>(dot(soft.data(), coded.data(), kCodedBits));
}

}  // namespace

void Fold::add(const ChipScores& scores) {
  for (size_t alignment = 0; alignment < kAlignments; ++alignment) {
    for (size_t i = 0; i < scores.n_chips(); ++i) {
      float* row = &tables_[alignment][i % kPeriod * kTiles];
      const TileRow& chip = scores.chip(alignment, i);
      for (size_t tile = 0; tile < kTiles; ++tile) row[tile] += chip[tile];
    }
  }
}

void Fold::add(const Fold& other) {
  for (size_t alignment = 0; alignment < kAlignments; ++alignment) {
    for (size_t cell = 0; cell < kCells; ++cell) tables_[alignment][cell] += other.tables_[alignment][cell];
  }
}

double Fold::norm(size_t alignment) const {
  const Pattern& table = tables_[alignment];
  return std::sqrt(static_cast<double>(dot(table.data(), table.data(), kCells)));
}

Match match_known(const Fold& fold, const Pattern& chips, uint32_t payload) {
  Match best;
  best.payload = payload;
  for (size_t alignment = 0; alignment < kAlignments; ++alignment) {
    const double norm = fold.norm(alignment);
    if (norm == 0) continue;
    for (size_t shift = 0; shift < kPeriod; ++shift) {
      const double z = correlate(fold.table(alignment), chips, shift) / norm;
      if (z > best.z) best = {z, alignment, shift, payload};
    }
  }
  return best;
}

Match match_unknown(const Fold& fold, const KeyPattern& key, SoftDecoder& decoder) {
  std::vector<Match> candidates;
  std::array<double, kAlignments> norms{};
  for (size_t alignment = 0; alignment < kAlignments; ++alignment) {
    norms[alignment] = fold.norm(alignment);
    if (norms[alignment] == 0) continue;
    for (size_t shift = 0; shift < kPeriod; ++shift) {
      const float metric = decoder.best_metric(soft_bits(fold.table(alignment), key, shift));
      candidates.push_back({static_cast<double>(metric) / norms[alignment], alignment, shift, std::nullopt});
    }
  }
  const size_t n = std::min(kReadCandidates, candidates.size());
  const auto better = [](const Match& a, const Match& b) { return a.z > b.z; };
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(n), candidates.end(), better);
  Match best;
  for (size_t i = 0; i < n && candidates[i].z > best.z; ++i) {
    Match match = candidates[i];
    const CodedBits soft = soft_bits(fold.table(match.alignment), key, match.shift);
    match.payload = decoder.decode(soft, key.crc_mask(), kPathsPerCandidate);
    if (!match.payload) continue;
    match.z = correlation(soft, encode_payload(*match.payload, key.crc_mask())) / norms[match.alignment];
    if (match.z > best.z) best = match;
  }
  return best;
}

double normal_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

double known_false_positive(double z, double n_tries) { return std::min(1.0, n_tries * normal_tail(z)); }

double unknown_false_positive(double z, double n_tries) {
  return std::min(1.0, n_tries * kPayloads * normal_tail(z));
}

}  // namespace csm::mark
