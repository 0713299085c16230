// Abbreviations, Roman numerals, signs and emoji.
#include <algorithm>

#include "reading/number_words.h"
#include "reading/rules.h"
#include "reading/tables.h"

namespace csm::reading {
namespace {

template <size_t n>
bool contains(const std::array<std::string_view, n>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool capital_follows(const Characters& text, size_t i) { return text.at(i) == ' ' && is_upper(text.at(i + 1)); }

// "St. Mary" and "Main St."
bool read_saint_or_street(const Characters& text, size_t i, Match& match) {
  if (!has_text(text, i, "St.") || !ends_word(text, i + 3)) return false;
  const std::string before = word_before(text, i);
  const bool after_name = !before.empty() && is_upper(static_cast<unsigned char>(before[0])) && before != "The" && before != "In" && before != "At";
  if (capital_follows(text, i + 3) && !after_name) {
    match = {i + 3, "Saint"};
    return true;
  }
  if (!after_name) return false;
  match = {i + (may_end_sentence(text, i + 3) ? 2u : 3u), "Street"};
  return true;
}

bool fits(const Characters& text, const Abbreviation& abbreviation, size_t i, Match& match) {
  if (!has_text(text, i, abbreviation.text)) return false;
  const size_t end = i + abbreviation.text.size();
  const bool has_stop = text.at(end) == '.';
  const size_t after = has_stop ? end + 1 : end;
  if ((!has_stop && !abbreviation.bare) || !ends_word(text, after)) return false;
  match = {after, std::string(abbreviation.words)};
  switch (abbreviation.kind) {
    case AbbreviationKind::kTitle: return capital_follows(text, after);
    case AbbreviationKind::kInside: return true;
    case AbbreviationKind::kBeforeNumber: return is_digit(text.at(skip_blanks(text, after)));
    case AbbreviationKind::kAnywhere:
      if (has_stop && may_end_sentence(text, after)) match.end = end;
      return true;
  }
  return false;
}

// 0 when the letters are no number in its usual form.
int roman_value(std::string_view letters) {
  static constexpr std::pair<std::string_view, int> kParts[] = {{"C", 100}, {"XC", 90}, {"L", 50}, {"XL", 40}, {"X", 10}, {"IX", 9}, {"V", 5}, {"IV", 4}, {"I", 1}};
  int value = 0;
  std::string_view rest = letters;
  for (const auto& [part, worth] : kParts) {
    int n = 0;
    while (rest.substr(0, part.size()) == part && n < (part.size() == 1 && worth != 5 && worth != 50 ? 3 : 1)) {
      rest.remove_prefix(part.size());
      value += worth;
      ++n;
    }
  }
  return rest.empty() ? value : 0;
}

bool in_range(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

// Joiners, variation selectors, skin tones, tags: parts of an emoji that say nothing alone.
bool is_emoji_part(char32_t c) {
  return c == 0x200D || c == 0xFE0E || c == 0xFE0F || c == 0x20E3 || in_range(c, 0x1F3FB, 0x1F3FF) || in_range(c, 0xE0020, 0xE007F);
}

bool is_emoji(char32_t c) {
  return in_range(c, 0x1F000, 0x1FAFF) || in_range(c, 0x2600, 0x27BF) || in_range(c, 0x2B00, 0x2BFF) || in_range(c, 0x231A, 0x231B) || in_range(c, 0x23E9, 0x23FA);
}

}  // namespace

bool read_abbreviation(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i) || !is_letter(text.at(i))) return false;
  if (read_saint_or_street(text, i, match)) return true;
  return std::any_of(std::begin(kAbbreviations), std::end(kAbbreviations), [&](const Abbreviation& abbreviation) { return fits(text, abbreviation, i, match); });
}

bool read_roman(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i) || text.at(i) > 'X') return false;
  const std::string letters = letters_at(text, i);
  const int value = letters.size() <= 8 ? roman_value(letters) : 0;
  match.end = i + letters.size();
  if (value == 0 || !ends_word(text, match.end) || text.at(match.end) == '\'' || text.at(match.end) == 0x2019) return false;
  const std::string before = word_before(text, i);
  const bool word_follows = text.at(match.end) == ' ' && is_lower(text.at(match.end + 1));
  const std::string digits = std::to_string(value);
  if (contains(kNumberedThings, before) && !(letters == "I" && word_follows)) {
    match.words = cardinal(digits);
    return true;
  }
  // A single letter is an initial more often than a rank, but for the fifths.
  if (!contains(kRegnalNames, before) || (letters.size() == 1 && (letters != "V" || text.at(match.end) == '.'))) return false;
  match.words = "the " + ordinal(digits);
  return true;
}

bool read_sign(const Characters& text, size_t i, Match& match) {
  const char32_t c = text.at(i);
  if (c == '#' && starts_word(text, i) && is_letter(text.at(i + 1)) && (i == 0 || text.at(i - 1) != '#')) {
    match = {i + 1, "hashtag"};
    return true;
  }
  const auto found = std::find_if(std::begin(kSigns), std::end(kSigns), [&](const Sign& sign) { return sign.sign == c; });
  if (found == std::end(kSigns)) return false;
  const bool is_free = (i == 0 || is_space(text.at(i - 1)) || is_digit(text.at(i - 1))) &&
                       (i + 1 >= text.size() || is_space(text.at(i + 1)) || is_digit(text.at(i + 1)));
  if (found->needs_blanks && !is_free) return false;
  match = {i + 1, std::string(found->words)};
  return true;
}

bool read_emoji(const Characters& text, size_t i, Match& match) {
  if (is_emoji_part(text.at(i)) && text.at(i) != 0x200D) {
    match = {i + 1, ""};
    return true;
  }
  if (!is_emoji(text.at(i))) return false;
  const auto* name = std::find_if(std::begin(kEmojiNames), std::end(kEmojiNames), [&](const EmojiName& emoji) { return emoji.code_point == text.at(i); });
  match = {i + 1, name == std::end(kEmojiNames) ? "" : std::string(name->words)};
  while (is_emoji_part(text.at(match.end)) || (text.at(match.end - 1) == 0x200D && is_emoji(text.at(match.end)))) ++match.end;
  return true;
}

}  // namespace csm::reading
