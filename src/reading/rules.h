// The rules of English normalisation. Each looks at one place of a text and says, if what stands there is of its kind, how far it
// reaches and which words it becomes.
//
// Place in the flow: normalize goes through the text and asks the rules in order. Pure functions over tables; any thread.
#pragma once

#include <string>
#include <string_view>

#include "reading/characters.h"

namespace csm::reading {

struct Match {
  size_t end = 0;     // index after what was read
  std::string words;  // "" when nothing is said
};

// False when the text at i is not of the rule's kind.
using Rule = bool (*)(const Characters& text, size_t i, Match& match);

bool read_address(const Characters& text, size_t i, Match& match);    // web and e-mail addresses
bool read_date(const Characters& text, size_t i, Match& match);       // 2024-03-15, 3/15/2024, March 3, 3 March 2024
bool read_time(const Characters& text, size_t i, Match& match);       // 3:30, 15:00, 3 pm
bool read_telephone(const Characters& text, size_t i, Match& match);  // 555-1234, (555) 123-4567, +1 555 123 4567
bool read_money(const Characters& text, size_t i, Match& match);      // $5.50, -$3 million, EUR 20, 20 EUR
bool read_number(const Characters& text, size_t i, Match& match);     // all others: signs, ranges, fractions, units, years, ordinals
bool read_abbreviation(const Characters& text, size_t i, Match& match);
bool read_roman(const Characters& text, size_t i, Match& match);      // Henry VIII, Chapter IV
bool read_sign(const Characters& text, size_t i, Match& match);       // & + = @ #
bool read_emoji(const Characters& text, size_t i, Match& match);

// What several of them look at.

struct Number {
  size_t end = 0;
  std::string whole;     // digits, without commas
  std::string fraction;  // digits after the point
  bool has_commas = false;
};
// 1234, 1,234, 12.5; false when there is no digit at i.
bool parse_number(const Characters& text, size_t i, Number& number);
std::string words_of(const Number& number);  // "twelve point five"

// A number, or a range of two.
struct Quantity {
  size_t end = 0;
  Number first;
  Number last;  // the same as first when there is no range
  bool is_range = false;
  bool is_one() const { return !is_range && first.whole == "1" && first.fraction.empty(); }
};
bool parse_quantity(const Characters& text, size_t i, Quantity& quantity);
std::string words_of(const Quantity& quantity);

// The digits at i, at most n_max of them; "" when there are none, or more.
std::string digits_at(const Characters& text, size_t i, size_t n_max);
bool starts_word(const Characters& text, size_t i);             // no letter or digit before i
bool ends_word(const Characters& text, size_t i);               // no letter or digit at i
bool has_text(const Characters& text, size_t i, std::string_view ascii);
std::string word_before(const Characters& text, size_t i);      // the letters before the blanks before i; "" when a mark is between
std::string letters_at(const Characters& text, size_t i);
size_t skip_blanks(const Characters& text, size_t i);           // blanks and tabs
bool is_minus(char32_t c);
bool is_dash(char32_t c);
// Whether a sentence may end before i: the end of the text, or white space and a capital.
bool may_end_sentence(const Characters& text, size_t i);

}  // namespace csm::reading
