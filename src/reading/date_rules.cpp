// Dates and times of day.
#include <optional>

#include "reading/number_words.h"
#include "reading/rules.h"
#include "reading/tables.h"

namespace csm::reading {
namespace {

constexpr size_t kMonthsOfYear = 12;

int to_int(const std::string& digits) { return digits.empty() ? -1 : std::stoi(digits); }

std::string month_day(int month, const std::string& day) { return std::string(kMonths[month - 1].name) + " " + ordinal(day); }

std::string with_year(const std::string& words, const std::string& digits) {
  if (digits.size() == 2) return words + ", " + (digits[0] == '0' ? "oh " + cardinal(digits.substr(1)) : cardinal(digits));
  return words + ", " + year(digits);
}

bool is_date(int month, int day) { return month >= 1 && month <= 12 && day >= 1 && day <= 31; }

// Digits, a separator, digits, the same separator, digits.
struct Triple {
  std::string parts[3];
  size_t end = 0;
};
bool read_triple(const Characters& text, size_t i, char32_t separator, Triple& triple) {
  for (size_t part = 0; part < 3; ++part) {
    triple.parts[part] = digits_at(text, i, 4);
    if (triple.parts[part].empty()) return false;
    i += triple.parts[part].size();
    if (part < 2 && text.at(i++) != separator) return false;
  }
  triple.end = i;
  return ends_word(text, i) && !(text.at(i) == separator && is_digit(text.at(i + 1)));
}

bool read_digits_date(const Characters& text, size_t i, Match& match) {
  Triple date;
  if (read_triple(text, i, '-', date) && date.parts[0].size() == 4 && date.parts[1].size() == 2 && date.parts[2].size() == 2) {
    if (!is_date(to_int(date.parts[1]), to_int(date.parts[2]))) return false;
    match = {date.end, with_year(month_day(to_int(date.parts[1]), date.parts[2]), date.parts[0])};
    return true;
  }
  if (!read_triple(text, i, '/', date) || date.parts[0].size() > 2 || date.parts[1].size() > 2) return false;
  if (date.parts[2].size() != 4 && date.parts[2].size() != 2) return false;
  const bool month_first = to_int(date.parts[0]) <= 12;
  const std::string& month = date.parts[month_first ? 0 : 1];
  const std::string& day = date.parts[month_first ? 1 : 0];
  if (!is_date(to_int(month), to_int(day))) return false;
  match = {date.end, with_year(month_day(to_int(month), day), date.parts[2])};
  return true;
}

// The month whose name, or abbreviation with or without a full stop, stands at i; end is after it.
std::optional<size_t> month_at(const Characters& text, size_t i, size_t& end) {
  const std::string word = letters_at(text, i);
  for (size_t m = 0; m < std::size(kMonths); ++m) {
    const bool is_name = word == kMonths[m].name;
    if (!is_name && word != kMonths[m].abbreviation) continue;
    end = i + word.size();
    if (!is_name && text.at(end) == '.') ++end;
    return m < kMonthsOfYear ? m : 8;  // Sept
  }
  return std::nullopt;
}

// Up to 31, with or without an ordinal ending, and nothing that makes it another number.
std::string day_at(const Characters& text, size_t i, size_t& end) {
  const std::string day = digits_at(text, i, 2);
  if (to_int(day) < 1 || to_int(day) > 31) return "";
  end = i + day.size();
  for (const char* ending : {"st", "nd", "rd", "th"}) {
    if (has_text(text, end, ending) && ends_word(text, end + 2)) {
      end += 2;
      return day;
    }
  }
  const char32_t next = text.at(end);
  const bool goes_on = (next == '.' || next == ',' || next == ':' || next == '/' || is_dash(next)) && is_digit(text.at(end + 1));
  return goes_on || next == '%' || !ends_word(text, end) ? "" : day;
}

// ", 2024" or " 2024" after a day.
std::string year_at(const Characters& text, size_t i, size_t& end) {
  if (text.at(i) == ',') ++i;
  if (text.at(i) != ' ') return "";
  const std::string digits = digits_at(text, i + 1, 4);
  if (digits.size() != 4 || digits[0] == '0' || !ends_word(text, i + 5)) return "";
  if ((text.at(i + 5) == '.' || text.at(i + 5) == ',' || text.at(i + 5) == ':') && is_digit(text.at(i + 6))) return "";
  end = i + 5;
  return digits;
}

bool read_month_first(const Characters& text, size_t i, Match& match) {
  size_t end = 0;
  const auto month = month_at(text, i, end);
  if (!month || text.at(end) != ' ') return false;
  const std::string day = day_at(text, end + 1, end);
  if (day.empty()) {
    // "Jan. 2024": the month's name; the year is read on its own.
    const size_t after = end;
    const bool is_short = letters_at(text, i).size() != kMonths[*month].name.size();
    if (!is_short || digits_at(text, after + 1, 4).size() != 4) return false;
    match = {after, std::string(kMonths[*month].name)};
    return true;
  }
  std::string words = month_day(static_cast<int>(*month) + 1, day);
  const std::string digits = year_at(text, end, end);
  match = {end, digits.empty() ? words : with_year(words, digits)};
  return true;
}

bool read_day_first(const Characters& text, size_t i, Match& match) {
  size_t end = 0;
  const std::string day = day_at(text, i, end);
  if (day.empty() || text.at(end) != ' ') return false;
  const auto month = month_at(text, end + 1, end);
  if (!month || !ends_word(text, end)) return false;
  const bool has_article = word_before(text, i) == "the" || word_before(text, i) == "The";
  const std::string words = (has_article ? "" : "the ") + ordinal(day) + " of " + std::string(kMonths[*month].name);
  const std::string digits = year_at(text, end, end);
  match = {end, digits.empty() ? words : with_year(words, digits)};
  return true;
}

// "am", "PM", "a.m." after a time; a full stop that may end the sentence is left.
bool read_half_of_day(const Characters& text, size_t i, size_t& end, std::string& words) {
  const size_t begin = skip_blanks(text, i);
  const char32_t c = text.at(begin) | 0x20;
  if (c != 'a' && c != 'p') return false;
  const bool has_dot = text.at(begin + 1) == '.';
  const size_t m = begin + (has_dot ? 2 : 1);
  if ((text.at(m) | 0x20) != 'm' || !ends_word(text, m + 1)) return false;
  words = c == 'a' ? " a m" : " p m";
  end = m + 1;
  if (has_dot && text.at(end) == '.' && !may_end_sentence(text, end + 1)) ++end;
  return true;
}

std::string clock_words(const std::string& hour, const std::string& minute, bool has_half) {
  const int h = to_int(hour);
  const int m = to_int(minute);
  if (m > 0) return cardinal(hour) + (m < 10 ? " oh " : " ") + cardinal(minute);
  if (has_half) return cardinal(hour);
  if (h == 0) return "midnight";
  return h <= 12 ? cardinal(hour) + " o'clock" : cardinal(hour) + " hundred";
}

}  // namespace

bool read_date(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i)) return false;
  if (is_digit(text.at(i))) return read_digits_date(text, i, match) || read_day_first(text, i, match);
  return is_upper(text.at(i)) && read_month_first(text, i, match);
}

bool read_time(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i)) return false;
  const std::string hour = digits_at(text, i, 2);
  if (hour.empty() || to_int(hour) > 24) return false;
  size_t end = i + hour.size();
  std::string minute;
  std::string second;
  if (text.at(end) == ':') {
    minute = digits_at(text, end + 1, 2);
    if (minute.size() != 2 || to_int(minute) > 59) return false;
    end += 3;
    if (text.at(end) == ':') {
      second = digits_at(text, end + 1, 2);
      if (second.size() != 2 || to_int(second) > 59) return false;
      end += 3;
    }
    if (text.at(end) == ':' || (text.at(end) == '.' && is_digit(text.at(end + 1)))) return false;
  }
  std::string half;
  const bool has_half = read_half_of_day(text, end, end, half);
  if ((minute.empty() && !has_half) || !ends_word(text, end)) return false;
  std::string words = minute.empty() ? cardinal(hour) : clock_words(hour, minute, has_half);
  if (!second.empty()) words += " and " + cardinal(second) + (to_int(second) == 1 ? " second" : " seconds");
  match = {end, words + half};
  return true;
}

}  // namespace csm::reading
