#include "reading/characters.h"

#include "base/fail.h"
#include "base/utf8.h"

namespace csm::reading {
namespace {

constexpr size_t kMaxTextBytes = size_t{64} << 20;

bool within(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

}  // namespace

Characters::Characters(std::string_view text) : text_(text) {
  if (text.size() > kMaxTextBytes) {
    fail(ErrorCode::kInvalidArgument, "the text has {} bytes; expected at most {}; give it in parts", text.size(), kMaxTextBytes);
  }
  const size_t invalid = first_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    fail(ErrorCode::kInvalidArgument, "the text is not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8", invalid,
         static_cast<unsigned char>(text[invalid]));
  }
  offsets_.reserve(text.size() + 1);
  for (size_t position = 0; position < text.size();) {
    offsets_.push_back(position);
    code_points_.push_back(next_code_point(text, position));
  }
  offsets_.push_back(text.size());
}

bool is_space(char32_t c) {
  return within(c, 0x09, 0x0D) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || within(c, 0x2000, 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_digit(char32_t c) { return within(c, '0', '9'); }

bool is_letter(char32_t c) {
  if (c < 0x80) return within(c, 'a', 'z') || within(c, 'A', 'Z');
  const bool is_sign = within(c, 0x80, 0xA9) || within(c, 0xAB, 0xB4) || within(c, 0xB6, 0xB9) || within(c, 0xBB, 0xBF) || c == 0xD7 ||
                       c == 0xF7 || within(c, 0x2000, 0x2BFF) || within(c, 0x3000, 0x3004) || within(c, 0x3008, 0x3020) ||
                       within(c, 0xFE00, 0xFE0F) || within(c, 0xFF00, 0xFF0F) || within(c, 0xFF1A, 0xFF20) || c == 0xFEFF ||
                       within(c, 0xFF5B, 0xFF65) || within(c, 0xE000, 0xF8FF) || c >= 0x1F000;
  return !is_sign && !is_space(c);
}

bool is_upper(char32_t c) {
  return within(c, 'A', 'Z') || (within(c, 0xC0, 0xDE) && c != 0xD7) || within(c, 0x391, 0x3A9) || within(c, 0x400, 0x42F);
}

bool is_lower(char32_t c) {
  return within(c, 'a', 'z') || (within(c, 0xDF, 0xFF) && c != 0xF7) || within(c, 0x3B1, 0x3C9) || within(c, 0x430, 0x45F);
}

bool is_ideographic(char32_t c) {
  return within(c, 0xE00, 0xEFF) || within(c, 0x1000, 0x109F) || within(c, 0x1780, 0x17FF) || within(c, 0x3005, 0x3007) ||
         within(c, 0x3021, 0x30FF) || within(c, 0x31F0, 0x31FF) || within(c, 0x3400, 0x9FFF) || within(c, 0xF900, 0xFAFF) ||
         within(c, 0x20000, 0x3FFFF);
}

}  // namespace csm::reading
