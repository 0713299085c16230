#include "text/character_map.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/fail.h"
#include "base/utf8.h"

namespace csm {
namespace {

constexpr uint32_t kBlockUnits = 256;  // a trie is whole blocks, so that any byte leads to a unit of the same block
constexpr int kMaxKeyBytes = 32;       // libsentencepiece keeps as many results of one search

uint32_t read_u32(const char* bytes) {
  uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);  // the machine is little-endian, as the GGUF reader asserts
  return value;
}

class TrieCheck {
 public:
  TrieCheck(std::string_view units, std::string_view replacements, const std::string& where)
      : units_(units), replacements_(replacements), where_(where), height_(n_units(), kNew) {}

  // Follows every byte from every unit that can be reached, each unit once.
  void run() { (void)visit(0, 0); }

 private:
  static constexpr int8_t kNew = -1;
  static constexpr int8_t kOpen = -2;

  uint32_t n_units() const { return static_cast<uint32_t>(units_.size() / sizeof(uint32_t)); }
  uint32_t unit(uint32_t position) const { return read_u32(units_.data() + position * sizeof(uint32_t)); }

  static bool has_value(uint32_t unit) { return (unit >> 8 & 1u) != 0; }
  static uint32_t label(uint32_t unit) { return unit & (uint32_t{1} << 31 | 0xFFu); }
  static uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & (1u << 9)) >> 6); }

  [[noreturn]] void broken(const char* what) const {
    fail(ErrorCode::kInvalidData, "'{}': the normalisation rules (precompiled_charsmap) are damaged: {}", where_, what);
  }

  // Length of the longest key that goes on from this unit, which is `depth` bytes deep. Units are shared by keys with the same end.
  int visit(uint32_t position, int depth) {
    if (depth > kMaxKeyBytes) too_long();
    height_[position] = kOpen;
    const uint32_t base = position ^ offset(unit(position));
    // Both the children and the value lie in the block of base.
    if (base >= n_units()) broken("an offset leads outside the trie");
    if (has_value(unit(position)) && depth > 0) check_value(unit(base) & 0x7FFFFFFFu);
    int height = 0;
    for (uint32_t byte = 0; byte < kBlockUnits; ++byte) {
      const uint32_t child = base ^ byte;
      if (label(unit(child)) != byte) continue;
      if (height_[child] == kOpen) broken("a key leads in a circle");
      height = std::max(height, 1 + (height_[child] == kNew ? visit(child, depth + 1) : height_[child]));
    }
    if (depth + height > kMaxKeyBytes) too_long();
    height_[position] = static_cast<int8_t>(height);
    return height;
  }

  [[noreturn]] void too_long() const { broken("a key is longer than 32 bytes"); }

  void check_value(uint32_t start) const {
    if (start >= replacements_.size()) broken("a value is outside the replacements");
    const size_t end = replacements_.find('\0', start);
    if (end == std::string_view::npos) broken("a replacement has no end");
    if (end - start > kMaxReplacementBytes) broken("a replacement is longer than 64 bytes");
    if (first_invalid_utf8(replacements_.substr(start, end - start)) != std::string_view::npos) broken("a replacement is not UTF-8");
  }

  const std::string_view units_;
  const std::string_view replacements_;
  const std::string& where_;
  std::vector<int8_t> height_;  // per unit, or one of the two above
};

}  // namespace

void check_character_map(std::string_view map, const std::string& where) {
  constexpr size_t kBlockBytes = kBlockUnits * sizeof(uint32_t);
  const uint32_t n_bytes = map.size() < sizeof(uint32_t) ? 0 : read_u32(map.data());
  if (n_bytes == 0 || n_bytes % kBlockBytes != 0 || n_bytes >= map.size() - sizeof(uint32_t)) {
    fail(ErrorCode::kInvalidData,
         "'{}': the normalisation rules (precompiled_charsmap) have {} bytes with a trie of {}; expected a trie of whole blocks of {} bytes "
         "and replacements after it",
         where, map.size(), n_bytes, kBlockBytes);
  }
  map.remove_prefix(sizeof(uint32_t));
  TrieCheck(map.substr(0, n_bytes), map.substr(n_bytes), where).run();
}

std::string empty_character_map() {
  const uint32_t n_bytes = kBlockUnits * sizeof(uint32_t);
  std::string map(sizeof n_bytes + n_bytes + 1, '\0');
  std::memcpy(map.data(), &n_bytes, sizeof n_bytes);
  // No byte leads from the root to a unit that has that byte for its label.
  for (uint32_t unit = 0; unit < kBlockUnits; ++unit) map[sizeof n_bytes + unit * sizeof(uint32_t)] = static_cast<char>(unit ^ 1u);
  return map;
}

}  // namespace csm
