// Numbers with what belongs to them: sign, range, percentage, unit, fraction, ordinal ending, decade, year.
#include <algorithm>
#include <array>

#include "reading/number_words.h"
#include "reading/rules.h"
#include "reading/tables.h"

namespace csm::reading {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

template <size_t n>
bool contains(const std::array<std::string_view, n>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// The next word looks like what is counted: "1234 apples", "2000 people".
bool counts_something(const Characters& text, size_t end) {
  const std::string word = text.at(end) == ' ' ? letters_at(text, end + 1) : "";
  if (word.size() < 3 || !is_lower(static_cast<unsigned char>(word[0]))) return false;
  return (word.back() == 's' && word != "was" && word != "is" && word != "has") || contains(kCountedWords, word);
}

bool is_year(const Characters& text, size_t i, const Number& number) {
  if (number.whole.size() != 4 || number.has_commas || !number.fraction.empty() || number.whole[0] == '0') return false;
  const int value = std::stoi(number.whole);
  if (value < 1000 || value > 2099 || counts_something(text, number.end)) return false;
  const size_t next = skip_blanks(text, number.end);
  const bool has_era = contains(kEras, letters_at(text, next));
  return value >= 1900 || has_era || contains(kYearCues, lower(word_before(text, i)));
}

std::string number_words(const Characters& text, size_t i, const Number& number) {
  return is_year(text, i, number) ? year(number.whole) : words_of(number);
}

std::string quantity_words(const Characters& text, size_t i, const Quantity& quantity) {
  const std::string first = number_words(text, i, quantity.first);
  if (!quantity.is_range) return first;
  const bool years = quantity.first.whole.size() == 4 && quantity.last.whole.size() == 4 && is_year(text, i, quantity.first);
  return first + " to " + (years ? year(quantity.last.whole) : words_of(quantity.last));
}

// "km" after "5" or "5 ". The longest unit wins.
bool read_unit(const Characters& text, const Quantity& quantity, Match& match) {
  const size_t begin = text.at(quantity.end) == ' ' || text.at(quantity.end) == 0xA0 ? quantity.end + 1 : quantity.end;
  const Unit* best = nullptr;
  size_t best_end = 0;
  for (const Unit& unit : kUnits) {
    const Characters sign(unit.sign);
    size_t n = 0;
    while (n < sign.size() && text.at(begin + n) == sign.at(n)) ++n;
    if (n < sign.size() || begin + n <= best_end || (is_letter(sign.at(n - 1)) && !ends_word(text, begin + n))) continue;
    if (unit.needs_digit_beside && begin != quantity.end) continue;
    best = &unit;
    best_end = begin + n;
  }
  if (best == nullptr) return false;
  match.end = best_end;
  match.words = words_of(quantity) + " " + std::string(quantity.is_one() ? best->singular : best->plural);
  return true;
}

// 1/2, 3/4: what can be said as parts; anything else is "slash".
bool read_fraction(const Characters& text, size_t i, Match& match) {
  const std::string numerator = digits_at(text, i, 4);
  const size_t slash = i + numerator.size();
  if (numerator.empty() || text.at(slash) != '/') return false;
  const std::string denominator = digits_at(text, slash + 1, 4);
  match.end = slash + 1 + denominator.size();
  if (denominator.empty() || text.at(match.end) == '/' || !ends_word(text, match.end)) return false;
  const int above = std::stoi(numerator);
  const int below = std::stoi(denominator);
  const bool is_part = above > 0 && above < below && below <= 100;
  if (is_part) {
    match.words = fraction_part(numerator, denominator);
  } else if (above == 24 && below == 7) {
    match.words = "twenty-four seven";
  } else {
    match.words = cardinal(numerator) + " slash " + cardinal(denominator);
  }
  return true;
}

// "2 1/2" and "2½".
bool read_mixed(const Characters& text, const Quantity& quantity, Match& match) {
  if (quantity.is_range || !quantity.first.fraction.empty()) return false;
  Match part;
  const bool has_sign = read_fraction_sign(text.at(quantity.end), part.words);
  part.end = quantity.end + 1;
  if (!has_sign) {
    if (text.at(quantity.end) != ' ' || !read_fraction(text, quantity.end + 1, part)) return false;
    if (part.words.find("slash") != std::string::npos || part.words.find("seven") == 0) return false;
  }
  const bool is_half = part.words == "one half";
  match.end = part.end;
  match.words = words_of(quantity) + " and " + (is_half ? "a half" : part.words);
  return true;
}

bool read_ordinal_or_decade(const Characters& text, size_t i, const Number& number, Match& match) {
  if (!number.fraction.empty()) return false;
  const std::string ending = lower(letters_at(text, number.end));
  const bool is_ordinal = ending == "st" || ending == "nd" || ending == "rd" || ending == "th";
  const size_t n = number.whole.size();
  const bool is_decade = ending == "s" && number.whole[n - 1] == '0' && (n == 2 || n == 4) && number.whole[0] != '0';
  if (!is_ordinal && !is_decade) return false;
  match.end = number.end + ending.size();
  match.words = is_ordinal ? ordinal(number.whole) : plural(n == 4 ? year(number.whole) : cardinal(number.whole));
  return true;
}

// 1.2.3, 192.168.0.1: at least so many parts with points between.
bool read_parts(const Characters& text, size_t i, int n_least, Match& match) {
  std::string words;
  size_t end = i;
  int n_parts = 0;
  for (;; ++n_parts) {
    const std::string part = digits_at(text, end, 9);
    if (part.empty()) break;
    words += (n_parts == 0 ? "" : " point ") + (part.size() > 1 && part[0] == '0' ? one_by_one(part) : cardinal(part));
    end += part.size();
    if (text.at(end) != '.' || !is_digit(text.at(end + 1))) {
      ++n_parts;
      break;
    }
    ++end;
  }
  if (n_parts < n_least) return false;
  match = {end, words};
  return true;
}

// Digits that are a part of a name: mp3, B52, x86.
bool read_within_word(const Characters& text, size_t i, Match& match) {
  size_t end = i;
  while (is_digit(text.at(end))) ++end;
  if (text.at(end) == '.' && is_digit(text.at(end + 1)) && read_parts(text, i, 2, match)) return true;
  const std::string digits(text.between(i, end));
  match = {end, digits.size() <= 2 && digits[0] != '0' ? cardinal(digits) : one_by_one(digits)};
  return true;
}

bool read_ratio(const Characters& text, size_t i, Match& match) {
  const std::string first = digits_at(text, i, 4);
  const size_t middle = i + first.size();
  const char32_t sign = text.at(middle);
  const bool is_product = sign == 0xD7 || sign == 'x';
  if (first.empty() || (sign != ':' && !is_product)) return false;
  const std::string second = digits_at(text, middle + 1, 4);
  match.end = middle + 1 + second.size();
  if (second.empty() || !ends_word(text, match.end)) return false;
  match.words = cardinal(first) + (is_product ? " by " : " to ") + cardinal(second);
  return true;
}

bool read_unsigned(const Characters& text, size_t i, Match& match) {
  Quantity quantity;
  if (!parse_quantity(text, i, quantity)) return false;
  if (read_parts(text, i, 3, match) || read_ratio(text, i, match)) return true;
  if (read_ordinal_or_decade(text, i, quantity.first, match)) return true;
  if (read_mixed(text, quantity, match) || read_fraction(text, i, match)) return true;
  const size_t after = text.at(quantity.end) == ' ' ? quantity.end + 1 : quantity.end;
  if (text.at(after) == '%') {
    match = {after + 1, words_of(quantity) + " percent"};
    return true;
  }
  if (read_unit(text, quantity, match)) return true;
  match = {quantity.end, quantity_words(text, i, quantity)};
  return true;
}

}  // namespace

bool read_number(const Characters& text, size_t i, Match& match) {
  const char32_t c = text.at(i);
  std::string fraction;
  if (read_fraction_sign(c, fraction)) {
    match = {i + 1, fraction};
    return true;
  }
  if (is_digit(c)) return starts_word(text, i) ? read_unsigned(text, i, match) : read_within_word(text, i, match);
  const bool is_first = i == 0 || is_space(text.at(i - 1)) || text.at(i - 1) == '(' || text.at(i - 1) == '=';
  if (!is_digit(text.at(i + 1))) return false;
  if ((c == '\'' || c == 0x2019) && is_first && text.at(i + 2) == '0' && text.at(i + 3) == 's') return read_unsigned(text, i + 1, match);  // '90s
  if (c == '#' && is_first) {
    if (!read_unsigned(text, i + 1, match)) return false;
    match.words = "number " + match.words;
    return true;
  }
  if (c == '.' && is_first) {  // .5
    size_t end = i + 1;
    while (is_digit(text.at(end))) ++end;
    match = {end, "point " + one_by_one(text.between(i + 1, end))};
    return true;
  }
  const char* word = is_minus(c) ? "minus " : c == '+' ? "plus " : c == '~' ? "about " : c == 0xB1 ? "plus or minus " : nullptr;
  if (word == nullptr || (!is_first && c != '~' && c != 0xB1) || !read_unsigned(text, i + 1, match)) return false;
  match.words = word + match.words;
  return true;
}

}  // namespace csm::reading
