#include "text/unicode_class.h"

#include <algorithm>
#include <iterator>

namespace csm {
namespace {

struct KindRange {
  uint32_t first;
  uint32_t last;
  CharKind kind;
};

constexpr CharKind kL = CharKind::kLetter;
constexpr CharKind kN = CharKind::kNumber;
constexpr CharKind kS = CharKind::kSpace;

constexpr KindRange kRanges[] = {
#include "text/unicode_class_table.inc"
};

CharKind ascii_kind(uint32_t c) {
  if (c == '\r' || c == '\n') return CharKind::kLineBreak;
  if (c == ' ' || (c >= '\t' && c <= '\r')) return CharKind::kSpace;
  if (c >= '0' && c <= '9') return CharKind::kNumber;
  const uint32_t lower = c | 0x20u;
  return lower >= 'a' && lower <= 'z' ? CharKind::kLetter : CharKind::kOther;
}

}  // namespace

CharKind kind_of(char32_t code_point) {
  const uint32_t c = code_point;
  if (c < 0x80) return ascii_kind(c);
  const auto after = std::upper_bound(std::begin(kRanges), std::end(kRanges), c,
                                      [](uint32_t value, const KindRange& range) { return value < range.first; });
  if (after == std::begin(kRanges)) return CharKind::kOther;
  const KindRange& range = *std::prev(after);
  return c <= range.last ? range.kind : CharKind::kOther;
}

}  // namespace csm
