#include "reading/number_words.h"

#include <array>
#include <utility>

namespace csm::reading {
namespace {

constexpr const char* kOnes[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
                                 "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr const char* kTens[] = {"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr const char* kThousands[] = {"", " thousand", " million", " billion", " trillion", " quadrillion"};
constexpr size_t kMaxDigits = 18;
constexpr std::pair<std::string_view, std::string_view> kIrregularOrdinals[] = {
    {"one", "first"}, {"two", "second"}, {"three", "third"}, {"five", "fifth"}, {"eight", "eighth"}, {"nine", "ninth"}, {"twelve", "twelfth"}};

std::string below_hundred(int n) {
  if (n < 20) return kOnes[n];
  return n % 10 == 0 ? kTens[n / 10] : std::string(kTens[n / 10]) + "-" + kOnes[n % 10];
}

std::string below_thousand(int n) {
  if (n < 100) return below_hundred(n);
  const std::string hundreds = std::string(kOnes[n / 100]) + " hundred";
  return n % 100 == 0 ? hundreds : hundreds + " " + below_hundred(n % 100);
}

int value_of(std::string_view digits) {
  int value = 0;
  for (const char digit : digits) value = 10 * value + (digit - '0');
  return value;
}

std::string_view without_zeros(std::string_view digits) {
  const size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? digits.substr(digits.size() - 1) : digits.substr(first);
}

// Where the last word starts.
size_t last_word(const std::string& words) {
  const size_t found = words.find_last_of(" -");
  return found == std::string::npos ? 0 : found + 1;
}

}  // namespace

std::string cardinal(std::string_view digits) {
  digits = without_zeros(digits);
  if (digits.size() > kMaxDigits) return one_by_one(digits);
  if (digits == "0") return kOnes[0];
  std::string words;
  while (!digits.empty()) {
    const size_t n = (digits.size() - 1) % 3 + 1;
    const int group = value_of(digits.substr(0, n));
    digits.remove_prefix(n);
    if (group == 0) continue;
    if (!words.empty()) words += ' ';
    words += below_thousand(group) + kThousands[digits.size() / 3];
  }
  return words;
}

std::string ordinal(std::string_view digits) {
  std::string words = cardinal(digits);
  const size_t start = last_word(words);
  const std::string last = words.substr(start);
  for (const auto& [from, to] : kIrregularOrdinals) {
    if (last == from) return words.replace(start, std::string::npos, to);
  }
  if (words.back() == 'y') return words.replace(words.size() - 1, 1, "ieth");
  return words + "th";
}

std::string one_by_one(std::string_view digits) {
  std::string words;
  for (const char digit : digits) {
    if (!words.empty()) words += ' ';
    words += kOnes[digit - '0'];
  }
  return words;
}

std::string year(std::string_view digits) {
  const int value = value_of(digits);
  const int century = value / 100;
  const int rest = value % 100;
  if (digits.size() != 4 || century % 10 == 0) {
    if (rest < 10 || digits.size() != 4) return cardinal(digits);  // two thousand nine
  }
  if (rest == 0) return below_hundred(century) + " hundred";
  return below_hundred(century) + (rest < 10 ? " oh " : " ") + below_hundred(rest);
}

std::string plural(const std::string& words) {
  if (words.back() == 'y') return words.substr(0, words.size() - 1) + "ies";
  return words + (words.back() == 'x' ? "es" : "s");
}

std::string fraction_part(std::string_view numerator, std::string_view denominator) {
  const bool is_one = without_zeros(numerator) == "1";
  const std::string count = cardinal(numerator);
  denominator = without_zeros(denominator);
  if (denominator == "2") return count + (is_one ? " half" : " halves");
  const std::string part = denominator == "4" ? "quarter" : ordinal(denominator);
  return count + " " + (is_one ? part : part + "s");
}

}  // namespace csm::reading
