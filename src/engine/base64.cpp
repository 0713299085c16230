#include "engine/base64.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace csm {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t kGroupBytes = 3;
constexpr size_t kGroupChars = 4;

std::array<int8_t, 256> make_values() {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 64; ++i) values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + kGroupBytes - 1) / kGroupBytes * kGroupChars);
  for (size_t begin = 0; begin < bytes.size(); begin += kGroupBytes) {
    const size_t n = std::min(kGroupBytes, bytes.size() - begin);
    uint32_t group = 0;
    for (size_t i = 0; i < kGroupBytes; ++i) {
      group = group << 8 | (i < n ? static_cast<unsigned char>(bytes[begin + i]) : 0U);
    }
    for (size_t i = 0; i < kGroupChars; ++i) {
      text += i <= n ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  static const std::array<int8_t, 256> kValues = make_values();
  if (text.size() % kGroupChars != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / kGroupChars * kGroupBytes);
  for (size_t begin = 0; begin < text.size(); begin += kGroupChars) {
    std::string_view group = text.substr(begin, kGroupChars);
    if (begin + kGroupChars == text.size()) {
      for (int i = 0; i < 2 && group.back() == '='; ++i) group.remove_suffix(1);
    }
    uint32_t value = 0;
    for (size_t i = 0; i < kGroupChars; ++i) {
      const int digit = i < group.size() ? kValues[static_cast<unsigned char>(group[i])] : 0;
      if (digit < 0) return std::nullopt;
      value = value << 6 | static_cast<uint32_t>(digit);
    }
    const size_t n = group.size() - 1;
    for (size_t i = 0; i < n; ++i) bytes += static_cast<char>(value >> (16 - 8 * i) & 0xFF);
    const uint32_t unused = value & ((1U << (8 * (kGroupBytes - n))) - 1);
    if (unused != 0) return std::nullopt;
  }
  return bytes;
}

}  // namespace csm
