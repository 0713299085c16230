#include "sampling_text.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace csm::app {
namespace {

constexpr size_t kMaxDigits = 9;  // of a codebook or an id

[[noreturn]] void fail_item(const std::string& item, const char* expected) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("expected {}, separated by commas; found '{}'", expected, item));
}

std::vector<std::string> items(const std::string& text) {
  std::vector<std::string> all;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    all.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

int to_number(const std::string& digits, const std::string& item, const char* expected) {
  const bool is_good = !digits.empty() && digits.size() <= kMaxDigits &&
                       digits.find_first_not_of("0123456789") == std::string::npos;
  if (!is_good) fail_item(item, expected);
  return std::atoi(digits.c_str());
}

float to_value(const std::string& text, const std::string& item, const char* expected) {
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  if (text.empty() || text.front() == ' ' || *end != '\0') fail_item(item, expected);
  return value;
}

}  // namespace

Schedule parse_schedule(const std::string& text) {
  constexpr const char* kExpected = "CODEBOOK:VALUE as 0:0.9";
  Schedule schedule;
  for (const std::string& item : items(text)) {
    const size_t colon = item.find(':');
    if (colon == std::string::npos) fail_item(item, kExpected);
    schedule.push_back({to_number(item.substr(0, colon), item, kExpected),
                        to_value(item.substr(colon + 1), item, kExpected)});
  }
  return schedule;
}

std::vector<LogitBias> parse_logit_bias(const std::string& text) {
  constexpr const char* kExpected = "ID:VALUE or CODEBOOK@ID:VALUE as 12:-3 or 0@40:2.5";
  std::vector<LogitBias> biases;
  for (const std::string& item : items(text)) {
    const size_t at = item.find('@');
    const size_t id = at == std::string::npos ? 0 : at + 1;
    const size_t colon = item.find(':', id);
    if (colon == std::string::npos) fail_item(item, kExpected);
    LogitBias bias;
    if (at != std::string::npos) bias.codebook = to_number(item.substr(0, at), item, kExpected);
    bias.id = to_number(item.substr(id, colon - id), item, kExpected);
    bias.value = to_value(item.substr(colon + 1), item, kExpected);
    biases.push_back(bias);
  }
  return biases;
}

}  // namespace csm::app
