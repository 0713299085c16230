#include "byte_size.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <cstdlib>

namespace csm::app {
namespace {

constexpr double kMostBytes = 1e18;

// The factor of "", "k", "ki", "m" ...; 0 for what is none.
double factor_of(std::string suffix) {
  for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!suffix.empty() && suffix.back() == 'b') suffix.pop_back();
  if (suffix.empty()) return 1;
  const size_t power = std::string("kmgt").find(suffix[0]);
  if (power == std::string::npos || (suffix.size() > 1 && suffix.substr(1) != "i")) return 0;
  return std::pow(suffix.size() > 1 ? 1024.0 : 1000.0, static_cast<double>(power + 1));
}

}  // namespace

uint64_t parse_bytes(const std::string& text) {
  char* end = nullptr;
  const bool starts_well = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  const double number = std::strtod(text.c_str(), &end);
  const double bytes = number * factor_of(end);
  if (!starts_well || text.find_first_of("xX") != std::string::npos || !std::isfinite(bytes) || bytes < 1 || bytes > kMostBytes) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("expected a size as 2G, 800M or 1.5GiB, found '{}'", text));
  }
  return static_cast<uint64_t>(bytes);
}

}  // namespace csm::app
