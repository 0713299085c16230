#include "reading/sentences.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <csm/text.h>

namespace csm {
namespace reading {
namespace {

// Lower case, without the final full stop. A name, a number or more of the sentence follows these.
constexpr std::string_view kNeverLast[] = {"dr",   "mr",   "mrs",  "ms",   "messrs", "prof", "rev",  "hon",  "gen",  "col",  "maj",  "capt", "lt",
                                           "sgt",  "cpl",  "adm",  "gov",  "sen",    "rep",  "pres", "st",   "mt",   "ft",   "fr",   "sr",   "mme",
                                           "mlle", "vs",   "v",    "e.g",  "i.e",    "cf",   "viz",  "ca",   "approx", "fig", "figs", "eq",  "sec",
                                           "ch",   "chap", "vol",  "p",    "pp",     "ed",   "eds",  "trans", "nr",  "art",  "op",   "ref"};
// A sentence may end with these, when the next word looks like the start of one.
constexpr std::string_view kMayBeLast[] = {"etc",  "inc", "ltd", "co",  "corp", "llc", "plc", "jr",  "bros", "dept", "est",  "ave", "blvd", "rd",
                                           "a.m",  "p.m", "b.c", "a.d", "al",   "jan", "feb", "mar", "apr",  "jun",  "jul",  "aug", "sep",  "sept",
                                           "oct",  "nov", "dec", "mon", "tue",  "wed", "thu", "fri", "sat",  "sun",  "min",  "max", "ph.d", "u.s",
                                           "u.k",  "u.n", "e.u"};
// Before digits only: "No. 5".
constexpr std::string_view kBeforeNumbers[] = {"no", "nos", "art", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"};
// After an abbreviation that may be a name's part as well ("the U.S. Navy"), only these start a sentence.
constexpr std::string_view kStarters[] = {"the",  "a",    "an",   "he",   "she",  "it",    "they", "we",   "you",  "i",    "this", "that", "these",
                                          "those", "there", "here", "but",  "and",  "so",    "then", "when", "while", "if",  "in",   "on",   "at",
                                          "for",  "from", "with", "what", "who",  "why",   "how",  "where", "after", "before", "no", "yes", "my",
                                          "his",  "her",  "our",  "their", "its", "as",    "not",  "now",  "all",  "some", "many", "most"};

template <size_t n>
bool contains(const std::string_view (&list)[n], std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

bool is_western_end(char32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x203C || c == 0x203D || (c >= 0x2047 && c <= 0x2049); }

// Full stops that need no blank after them, and those of scripts that are not Latin.
bool is_eastern_end(char32_t c) {
  return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF0E || c == 0xFF61 || c == 0x61F || c == 0x6D4 || c == 0x964 || c == 0x965;
}

bool is_closer(char32_t c) {
  constexpr std::u32string_view kClosers = U"\"')]}\u00BB\u201D\u2019\u203A\u300D\u300F\u3011\u3015\uFF09\uFF3D\uFF5D";
  return kClosers.find(c) != std::u32string_view::npos;
}

bool is_opener(char32_t c) {
  constexpr std::u32string_view kOpeners = U"\"'([{\u00AB\u201C\u2018\u2039\u300C\u300E\u3010\u00BF\u00A1-\u2014\u2013*_";
  return kOpeners.find(c) != std::u32string_view::npos;
}

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

// The word, with dots inside, that ends before `end`: "U.S" of "the U.S."
size_t word_start(const Characters& text, size_t begin, size_t end) {
  size_t start = end;
  while (start > begin && (is_letter(text.at(start - 1)) || is_digit(text.at(start - 1)) || text.at(start - 1) == '.')) --start;
  return start;
}

size_t skip_spaces(const Characters& text, size_t i) {
  while (i < text.size() && is_space(text.at(i))) ++i;
  return i;
}

std::string next_word(const Characters& text, size_t i) {
  const size_t start = i;
  while (is_letter(text.at(i)) || text.at(i) == '\'') ++i;
  return lower_ascii(text.between(start, i));
}

// "u.s", "n.a.s.a": single letters with full stops between.
bool is_dotted_letters(std::string_view word) {
  if (word.size() < 3) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if ((word[i] == '.') != (i % 2 == 1)) return false;
  }
  return word.back() != '.';
}

// Whether the single full stop at `dot` belongs to an abbreviation, an initial or a list's number. next: the first character after the
// white space.
bool is_part_of_word(const Characters& text, size_t begin, size_t dot, size_t next) {
  const size_t start = word_start(text, begin, dot);
  const std::string word = lower_ascii(text.between(start, dot));
  if (word.empty()) return false;
  const bool digit_follows = is_digit(text.at(next));
  if (contains(kNeverLast, word) || (digit_follows && contains(kBeforeNumbers, word))) return true;
  if (start == begin && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; })) return true;  // "1. First"
  const bool is_initial = dot - start == 1 && is_upper(text.at(start)) && word != "i";
  if (is_initial) return is_upper(text.at(next));  // J. Smith
  if (contains(kMayBeLast, word) || is_dotted_letters(word)) return !contains(kStarters, next_word(text, next));
  return false;
}

// Whether a sentence ends with the marks in [mark, after), which closers may follow up to `end`.
bool ends_sentence(const Characters& text, size_t begin, size_t mark, size_t after, size_t end, size_t limit) {
  if (end >= limit) return true;
  if (is_eastern_end(text.at(after - 1))) return true;
  if (!is_space(text.at(end))) return false;
  size_t next = skip_spaces(text, end);
  while (is_opener(text.at(next)) && next + 1 < limit) ++next;
  const bool goes_on = is_lower(text.at(next));
  const bool is_single_dot = after == mark + 1 && text.at(mark) == '.';
  if (is_single_dot) return !goes_on && !is_part_of_word(text, begin, mark, next);
  const bool is_ellipsis = text.at(mark) == 0x2026 || text.at(mark) == '.';
  return !(goes_on && (is_ellipsis || end > after));  // "Stop!" he said
}

// The end of the sentence that starts at begin, at most limit.
size_t sentence_end(const Characters& text, size_t begin, size_t limit) {
  for (size_t i = begin; i < limit; ++i) {
    if (!is_western_end(text.at(i)) && !is_eastern_end(text.at(i))) continue;
    size_t after = i;
    while (after < limit && (is_western_end(text.at(after)) || is_eastern_end(text.at(after)))) ++after;
    size_t end = after;
    while (end < limit && is_closer(text.at(end))) ++end;
    if (ends_sentence(text, begin, i, after, end, limit)) return end;
    i = after - 1;
  }
  return limit;
}

// The end of the paragraph that starts at begin: where a line with nothing on it follows.
size_t paragraph_end(const Characters& text, size_t begin) {
  for (size_t i = begin; i < text.size(); ++i) {
    if (text.at(i) == 0x2029) return i;
    if (text.at(i) != '\n') continue;
    size_t next = i + 1;
    while (next < text.size() && is_space(text.at(next)) && text.at(next) != '\n') ++next;
    if (text.at(next) == '\n') return i;
  }
  return text.size();
}

}  // namespace

std::vector<Sentence> find_sentences(const Characters& text) {
  std::vector<Sentence> sentences;
  for (size_t begin = skip_spaces(text, 0); begin < text.size();) {
    size_t limit = paragraph_end(text, begin);
    while (limit > begin && is_space(text.at(limit - 1))) --limit;
    while (begin < limit) {
      size_t end = sentence_end(text, begin, limit);
      while (end > begin && is_space(text.at(end - 1))) --end;
      sentences.push_back({begin, end, false});
      begin = skip_spaces(text, end);
    }
    sentences.back().ends_paragraph = true;
    begin = skip_spaces(text, std::max(begin, limit));
  }
  return sentences;
}

}  // namespace reading

std::vector<std::string> split_sentences(std::string_view text) {
  const reading::Characters characters(text);
  std::vector<std::string> sentences;
  for (const reading::Sentence& sentence : reading::find_sentences(characters)) sentences.emplace_back(characters.between(sentence.begin, sentence.end));
  return sentences;
}

}  // namespace csm
