#include "watermark/silentcipher_message.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/fail.h"

namespace csm {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

[[noreturn]] void fail_message(const std::string& text) {
  fail(ErrorCode::kInvalidArgument,
       "'{}' is no message of SilentCipher; expected ten hexadecimal digits, as D4D39238C9, or five numbers from 0 to 255 with commas", text);
}

}  // namespace

SilentCipherMessage parse_silentcipher_message(const std::string& text) {
  SilentCipherMessage message{};
  if (text.size() == 2 * message.size() && text.find(',') == std::string::npos) {
    for (size_t i = 0; i < message.size(); ++i) {
      const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
      if (high < 0 || low < 0) fail_message(text);
      message[i] = static_cast<uint8_t>(16 * high + low);
    }
    return message;
  }
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (size_t i = 0; i < message.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, message[i]);
    const bool is_last = i + 1 == message.size();
    if (error != std::errc() || (is_last ? next != end : next == end || *next != ',')) fail_message(text);
    at = is_last ? next : next + 1;
  }
  return message;
}

std::string to_string(const SilentCipherMessage& message) {
  return fmt::format("{:02X}{:02X}{:02X}{:02X}{:02X}", message[0], message[1], message[2], message[3], message[4]);
}

}  // namespace csm

namespace csm::cipher {
namespace {

constexpr int kDataSymbols = kCipherTile - 1;

// log(softmax) of one frame.
std::array<double, kCipherSymbols> log_likelihoods(const float* logits) {
  std::array<double, kCipherSymbols> values{};
  double largest = logits[0];
  for (int s = 0; s < kCipherSymbols; ++s) largest = std::max(largest, static_cast<double>(logits[s]));
  double sum = 0;
  for (int s = 0; s < kCipherSymbols; ++s) sum += std::exp(logits[s] - largest);
  for (size_t s = 0; s < kCipherSymbols; ++s) values[s] = logits[s] - largest - std::log(sum);
  return values;
}

}  // namespace

std::array<int, kCipherTile> cipher_symbols(const SilentCipherMessage& message) {
  std::array<int, kCipherTile> symbols{};  // the last one stays the end mark
  for (size_t i = 0; i < kDataSymbols; ++i) symbols[i] = 1 + ((message[i / 4] >> (6 - 2 * (i % 4))) & 3);
  return symbols;
}

CipherVote vote(std::span<const int> symbols) {
  CipherVote result;
  const size_t n_rows = symbols.size() / kCipherTile;
  if (n_rows == 0) return result;
  std::array<int, kCipherTile> modes{};
  size_t n_agreeing = 0;
  for (size_t column = 0; column < kCipherTile; ++column) {
    std::array<size_t, kCipherSymbols> counts{};
    for (size_t row = 0; row < n_rows; ++row) ++counts[static_cast<size_t>(symbols[row * kCipherTile + column])];
    const auto commonest = std::max_element(counts.begin(), counts.end());  // of equals the smallest
    modes[column] = static_cast<int>(commonest - counts.begin());
    n_agreeing += *commonest;
  }
  result.score = static_cast<double>(n_agreeing) / static_cast<double>(n_rows * kCipherTile);
  result.reading.confidence = result.score;
  if (std::count(modes.begin(), modes.end(), 0) != 1) return result;
  const auto end_mark = static_cast<size_t>(std::find(modes.begin(), modes.end(), 0) - modes.begin());
  result.reading.found = true;
  for (size_t i = 0; i < kDataSymbols; ++i) {
    const int bits = modes[(end_mark + 1 + i) % kCipherTile] - 1;
    result.reading.message[i / 4] = static_cast<uint8_t>(result.reading.message[i / 4] << 2 | bits);
  }
  return result;
}

double cipher_z(std::span<const float> logits, const SilentCipherMessage& message) {
  // [column][symbol]: summed over the tiles.
  std::array<std::array<double, kCipherSymbols>, kCipherTile> sums{};
  for (size_t frame = 0; frame * kCipherSymbols < logits.size(); ++frame) {
    const auto values = log_likelihoods(logits.data() + frame * kCipherSymbols);
    for (size_t s = 0; s < kCipherSymbols; ++s) sums[frame % kCipherTile][s] += values[s];
  }
  const std::array<int, kCipherTile> symbols = cipher_symbols(message);
  double best = -std::numeric_limits<double>::infinity();
  for (size_t rotation = 0; rotation < kCipherTile; ++rotation) {
    double excess = 0, variance = 0;
    for (size_t i = 0; i < kDataSymbols; ++i) {  // the end mark is the same in every message, so it tells nothing
      const auto& column = sums[(i + rotation) % kCipherTile];
      const double mean = (column[1] + column[2] + column[3] + column[4]) / 4;
      excess += column[static_cast<size_t>(symbols[i])] - mean;
      for (size_t s = 1; s < kCipherSymbols; ++s) variance += (column[s] - mean) * (column[s] - mean) / 4;
    }
    best = std::max(best, variance > 0 ? excess / std::sqrt(variance) : 0.0);
  }
  return best;
}

double cipher_chance(double z, int n_trials) { return std::min(1.0, n_trials * 0.5 * std::erfc(z / std::sqrt(2.0))); }

}  // namespace csm::cipher
