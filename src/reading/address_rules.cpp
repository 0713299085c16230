// Web and e-mail addresses, telephone numbers.
#include <algorithm>

#include "reading/number_words.h"
#include "reading/rules.h"
#include "reading/tables.h"

namespace csm::reading {
namespace {

bool is_ascii_word(char32_t c) { return c < 0x80 && (is_letter(c) || is_digit(c)); }

bool is_label(char32_t c) { return is_ascii_word(c) || c == '-' || c == '_'; }

// After the last character that belongs to an address and not to the sentence around it.
size_t address_end(const Characters& text, size_t begin) {
  constexpr std::u32string_view kStops = U"\"<>|\\^`{}\u201C\u201D\u2018\u2019\u00AB\u00BB\u3001\u3002";
  constexpr std::u32string_view kNotLast = U".,;:!?'()[]*_-";
  size_t end = begin;
  while (end < text.size() && !is_space(text.at(end)) && kStops.find(text.at(end)) == std::u32string_view::npos) ++end;
  while (end > begin && kNotLast.find(text.at(end - 1)) != std::u32string_view::npos) --end;
  return end;
}

const char* sign_word(char32_t c) {
  switch (c) {
    case '.': return "dot";
    case '/': return "slash";
    case '-': return "dash";
    case '_': return "underscore";
    case '@': return "at";
    case ':': return "colon";
    case '?': return "question mark";
    case '=': return "equals";
    case '&': return "and";
    case '#': return "hash";
    case '%': return "percent";
    case '+': return "plus";
    case '~': return "tilde";
    default: return "";
  }
}

// Word by word, each sign by its name.
std::string spelled(const Characters& text, size_t begin, size_t end) {
  std::string words;
  for (size_t i = begin; i < end;) {
    size_t next = i + 1;
    std::string word;
    if (is_digit(text.at(i))) {
      while (next < end && is_digit(text.at(next))) ++next;
      word = one_by_one(text.between(i, next));
    } else if (is_letter(text.at(i))) {
      while (next < end && is_letter(text.at(next))) ++next;
      word = text.between(i, next);
      if (word == "www") word = "w w w";
    } else {
      word = sign_word(text.at(i));
    }
    if (!word.empty()) words += (words.empty() ? "" : " ") + word;
    i = next;
  }
  return words;
}

bool read_web(const Characters& text, size_t i, Match& match) {
  size_t begin = i;
  for (const char* scheme : {"https://", "http://", "ftp://"}) {
    const std::string_view head(scheme);
    if (has_text(text, i, head) && is_ascii_word(text.at(i + head.size()))) begin = i + head.size();
  }
  if (begin == i && !(has_text(text, i, "www.") && is_ascii_word(text.at(i + 4)))) return false;
  match.end = address_end(text, begin);
  size_t last = match.end;
  while (last > begin && text.at(last - 1) == '/') --last;
  match.words = spelled(text, begin, last);
  return match.end > begin;
}

// Labels with dots between; the last one decides.
bool read_host(const Characters& text, size_t begin, size_t& end, std::string& last) {
  size_t n_labels = 0;
  for (size_t i = begin;; ++n_labels) {
    const size_t start = i;
    while (is_label(text.at(i))) ++i;
    if (i == start) break;
    end = i;
    last = text.between(start, i);
    if (text.at(i) != '.' || !is_label(text.at(i + 1))) {
      ++n_labels;
      break;
    }
    ++i;
  }
  return n_labels >= 2;
}

bool read_mail(const Characters& text, size_t i, Match& match) {
  size_t at = i;
  while (is_label(text.at(at)) || text.at(at) == '.' || text.at(at) == '+' || text.at(at) == '%') ++at;
  std::string last;
  if (at == i || text.at(at) != '@' || !read_host(text, at + 1, match.end, last) || last.size() < 2 || is_digit(static_cast<unsigned char>(last[0]))) return false;
  if (!ends_word(text, match.end)) return false;
  match.words = spelled(text, i, match.end);
  return true;
}

bool read_bare_host(const Characters& text, size_t i, Match& match) {
  std::string last;
  if (!read_host(text, i, match.end, last)) return false;
  if (std::find(kTopDomains.begin(), kTopDomains.end(), last) == kTopDomains.end() || is_letter(text.at(match.end))) return false;
  const size_t host_end = match.end;
  if (text.at(host_end) == '/') match.end = std::max(host_end, address_end(text, i));
  size_t spoken_end = match.end;
  while (spoken_end > host_end && text.at(spoken_end - 1) == '/') --spoken_end;
  match.words = spelled(text, i, spoken_end);
  return true;
}

// One group of a telephone number.
bool read_group(const Characters& text, size_t& i, size_t n_min, size_t n_max, std::string& words) {
  const std::string digits = digits_at(text, i, n_max);
  if (digits.size() < n_min) return false;
  words += (words.empty() ? "" : ", ") + one_by_one(digits);
  i += digits.size();
  return true;
}

bool is_separator(char32_t c) { return c == '-' || c == '.' || c == ' ' || c == 0x2011 || c == 0xA0; }

}  // namespace

bool read_address(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i) || !is_ascii_word(text.at(i))) return false;
  return read_web(text, i, match) || read_mail(text, i, match) || read_bare_host(text, i, match);
}

bool read_telephone(const Characters& text, size_t i, Match& match) {
  if (!starts_word(text, i)) return false;
  std::string words;
  size_t at = i;
  const bool is_international = text.at(at) == '+';
  if (is_international) ++at;
  bool has_area = text.at(at) == '(';
  if (is_international && !has_area) {
    if (!read_group(text, at, 1, 3, words)) return false;
    if (is_separator(text.at(at))) ++at;
    has_area = text.at(at) == '(';
  }
  if (has_area) {
    ++at;
    if (!read_group(text, at, 2, 5, words) || text.at(at) != ')') return false;
    ++at;
    if (is_separator(text.at(at))) ++at;
  }
  const bool allows_blanks = is_international || has_area;
  int n_groups = 0;
  const size_t start = at;
  for (char32_t separator = 0;; ++n_groups) {
    if (!read_group(text, at, n_groups == 0 && !allows_blanks ? 3 : 2, is_international ? 8 : 4, words)) return false;
    const char32_t next = text.at(at);
    const bool goes_on = is_separator(next) && (allows_blanks || next != ' ') && is_digit(text.at(at + 1)) && (separator == 0 || allows_blanks || next == separator);
    if (!goes_on) break;
    separator = next;
    ++at;
  }
  ++n_groups;
  const size_t n_characters = at - start;
  const bool is_local = !allows_blanks && ((n_groups == 2 && n_characters == 8 && text.at(start + 3) == '-') || (n_groups == 3 && n_characters == 12));
  if (!(is_local || (allows_blanks && n_characters >= 6)) || !ends_word(text, at)) return false;
  match = {at, (is_international ? "plus " : "") + words};
  return true;
}

}  // namespace csm::reading
