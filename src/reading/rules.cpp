#include "reading/rules.h"

#include "reading/number_words.h"

namespace csm::reading {

std::string digits_at(const Characters& text, size_t i, size_t n_max) {
  size_t end = i;
  while (is_digit(text.at(end))) ++end;
  return end - i > n_max ? "" : std::string(text.between(i, end));
}

bool starts_word(const Characters& text, size_t i) { return i == 0 || !(is_letter(text.at(i - 1)) || is_digit(text.at(i - 1))); }

bool ends_word(const Characters& text, size_t i) { return !(is_letter(text.at(i)) || is_digit(text.at(i))); }

bool has_text(const Characters& text, size_t i, std::string_view ascii) {
  for (size_t j = 0; j < ascii.size(); ++j) {
    if (text.at(i + j) != static_cast<unsigned char>(ascii[j])) return false;
  }
  return true;
}

std::string letters_at(const Characters& text, size_t i) {
  size_t end = i;
  while (is_letter(text.at(end))) ++end;
  return std::string(text.between(i, end));
}

std::string word_before(const Characters& text, size_t i) {
  size_t end = i;
  while (end > 0 && is_space(text.at(end - 1))) --end;
  size_t begin = end;
  while (begin > 0 && is_letter(text.at(begin - 1))) --begin;
  return end < i ? std::string(text.between(begin, end)) : "";
}

size_t skip_blanks(const Characters& text, size_t i) {
  while (text.at(i) == ' ' || text.at(i) == '\t' || text.at(i) == 0xA0 || text.at(i) == 0x202F) ++i;
  return i;
}

bool is_minus(char32_t c) { return c == '-' || c == 0x2212; }

bool is_dash(char32_t c) { return c == '-' || c == 0x2013 || c == 0x2212; }

bool may_end_sentence(const Characters& text, size_t i) {
  if (i >= text.size()) return true;
  if (!is_space(text.at(i))) return false;
  while (is_space(text.at(i))) ++i;
  return i >= text.size() || is_upper(text.at(i)) || text.at(i) == '"' || text.at(i) == 0x201C;
}

bool parse_number(const Characters& text, size_t i, Number& number) {
  number = Number();
  size_t end = i;
  while (is_digit(text.at(end))) ++end;
  if (end == i) return false;
  number.whole = text.between(i, end);
  // Groups of three after commas, where no fourth digit follows.
  while (end - i <= 24 && text.at(end) == ',' && digits_at(text, end + 1, 3).size() == 3 && number.whole[0] != '0' &&
         (number.has_commas || number.whole.size() <= 3)) {
    number.whole += text.between(end + 1, end + 4);
    number.has_commas = true;
    end += 4;
  }
  if (text.at(end) == '.' && is_digit(text.at(end + 1))) {
    const size_t start = end + 1;
    for (end = start; is_digit(text.at(end));) ++end;
    number.fraction = text.between(start, end);
  }
  number.end = end;
  return true;
}

std::string words_of(const Number& number) {
  const bool is_code = number.whole.size() > 1 && number.whole[0] == '0';
  const std::string whole = is_code ? one_by_one(number.whole) : cardinal(number.whole);
  return number.fraction.empty() ? whole : whole + " point " + one_by_one(number.fraction);
}

bool parse_quantity(const Characters& text, size_t i, Quantity& quantity) {
  if (!parse_number(text, i, quantity.first)) return false;
  quantity.last = quantity.first;
  quantity.end = quantity.first.end;
  quantity.is_range = false;
  Number last;
  if (!is_dash(text.at(quantity.end)) || !parse_number(text, quantity.end + 1, last)) return true;
  // Not a code of several parts: 1-2-3.
  if (is_dash(text.at(last.end)) && is_digit(text.at(last.end + 1))) return true;
  if (i > 1 && is_dash(text.at(i - 1)) && is_digit(text.at(i - 2))) return true;
  quantity.last = last;
  quantity.end = last.end;
  quantity.is_range = true;
  return true;
}

std::string words_of(const Quantity& quantity) {
  return quantity.is_range ? words_of(quantity.first) + " to " + words_of(quantity.last) : words_of(quantity.first);
}

}  // namespace csm::reading
