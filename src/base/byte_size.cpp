#include "base/byte_size.h"

#include <cctype>
#include <limits>

#include "base/fail.h"

namespace csm {
namespace {

[[noreturn]] void reject(const std::string& text, const std::string& what) {
  fail(ErrorCode::kInvalidArgument, "{} is '{}'; expected a size such as 512M, 16G or a number of bytes", what, text);
}

// How far a unit shifts; -1: it is none.
int shift_of(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "b") return 0;
  const std::string tail = unit.substr(1);
  if (!tail.empty() && tail != "b" && tail != "ib") return -1;
  const size_t index = std::string("kmgt").find(unit[0]);
  return index == std::string::npos ? -1 : static_cast<int>(10 * (index + 1));
}

}  // namespace

uint64_t parse_byte_size(const std::string& text, const std::string& what) {
  uint64_t number = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    const auto digit = static_cast<uint64_t>(text[i] - '0');
    if (number > (std::numeric_limits<uint64_t>::max() - digit) / 10) reject(text, what);
    number = number * 10 + digit;
  }
  const int shift = shift_of(text.substr(i));
  if (i == 0 || shift < 0 || number > std::numeric_limits<uint64_t>::max() >> shift) reject(text, what);
  return number << shift;
}

}  // namespace csm
