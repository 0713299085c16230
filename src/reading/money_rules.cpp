// Amounts of money.
#include "reading/number_words.h"
#include "reading/rules.h"
#include "reading/tables.h"

namespace csm::reading {
namespace {

// How many characters of the text at i are the sign; 0 when it is another text.
size_t sign_length(const Characters& text, size_t i, std::string_view sign) {
  const Characters wanted(sign);
  for (size_t n = 0; n < wanted.size(); ++n) {
    if (text.at(i + n) != wanted.at(n)) return 0;
  }
  return wanted.size();
}

const Currency* currency_at(const Characters& text, size_t i, size_t& end) {
  for (const Currency& currency : kCurrencies) {
    for (const std::string_view sign : {currency.sign, currency.code}) {
      const size_t n = sign_length(text, i, sign);
      const bool is_code = n > 0 && sign == currency.code;
      if (n == 0 || (is_code && (!starts_word(text, i) || is_letter(text.at(i + n))))) continue;
      end = i + n;
      return &currency;
    }
  }
  return nullptr;
}

// " million" or "M" after a number, as " million"; "" when there is none.
std::string magnitude_at(const Characters& text, size_t i, size_t& end) {
  for (const auto& [sign, word] : kMagnitudes) {
    if (has_text(text, i, sign) && ends_word(text, i + sign.size())) {
      end = i + sign.size();
      return " " + std::string(word);
    }
    if ((text.at(i) == ' ' || text.at(i) == '-') && has_text(text, i + 1, word) && ends_word(text, i + 1 + word.size())) {
      end = i + 1 + word.size();
      return " " + std::string(word);
    }
  }
  return "";
}

std::string amount_words(const Currency& currency, const Quantity& quantity, const std::string& magnitude) {
  const Number& number = quantity.first;
  const bool has_minor = !quantity.is_range && magnitude.empty() && number.fraction.size() == 2 && !currency.minor_plural.empty();
  if (!has_minor) {
    const bool is_one = quantity.is_one() && magnitude.empty();
    return words_of(quantity) + magnitude + " " + std::string(is_one ? currency.singular : currency.plural);
  }
  const std::string minor =
      cardinal(number.fraction) + " " + std::string(number.fraction == "01" ? currency.minor_singular : currency.minor_plural);
  if (number.whole == "0" && number.fraction != "00") return minor;
  const std::string major = cardinal(number.whole) + " " + std::string(number.whole == "1" ? currency.singular : currency.plural);
  return number.fraction == "00" ? major : major + " and " + minor;
}

bool read_sign_first(const Characters& text, size_t i, Match& match) {
  size_t end = 0;
  const Currency* currency = currency_at(text, i, end);
  Quantity quantity;
  if (currency == nullptr || !parse_quantity(text, text.at(end) == ' ' ? end + 1 : end, quantity)) return false;
  end = quantity.end;
  const std::string magnitude = magnitude_at(text, end, end);
  match = {end, amount_words(*currency, quantity, magnitude)};
  return true;
}

bool read_number_first(const Characters& text, size_t i, Match& match) {
  Quantity quantity;
  if (!starts_word(text, i) || !parse_quantity(text, i, quantity)) return false;
  size_t end = quantity.end;
  const std::string magnitude = magnitude_at(text, end, end);
  const Currency* currency = currency_at(text, text.at(end) == ' ' ? end + 1 : end, end);
  if (currency == nullptr || is_digit(text.at(end))) return false;
  match = {end, amount_words(*currency, quantity, magnitude)};
  return true;
}

}  // namespace

bool read_money(const Characters& text, size_t i, Match& match) {
  const bool is_first = i == 0 || is_space(text.at(i - 1)) || text.at(i - 1) == '(';
  if (is_minus(text.at(i)) && is_first && read_sign_first(text, i + 1, match)) {
    match.words = "minus " + match.words;
    return true;
  }
  return read_sign_first(text, i, match) || (is_digit(text.at(i)) && read_number_first(text, i, match));
}

}  // namespace csm::reading
