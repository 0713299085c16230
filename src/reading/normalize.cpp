// English text with numbers and signs as words (csm/text.h): the rules, asked in order at each place.
#include <csm/text.h>

#include "reading/language.h"
#include "reading/rules.h"

namespace csm {
namespace reading {
namespace {

constexpr Rule kRules[] = {read_address, read_date,         read_time,  read_telephone, read_money,
                           read_number,  read_abbreviation, read_roman, read_emoji,     read_sign};
constexpr int kMaxPasses = 8;  // words that one pass puts side by side may be read as one in the next; two are enough for most texts

bool find_match(const Characters& text, size_t i, Match& match) {
  for (const Rule rule : kRules) {
    match = Match();
    if (rule(text, i, match) && match.end > i) return true;
  }
  return false;
}

// Words stand apart from the letters around them.
void append_words(const Characters& text, size_t i, const Match& match, std::string& out) {
  if (match.words.empty()) {
    // What is not said leaves no second blank, and none before a mark.
    constexpr std::u32string_view kMarks = U".,;:!?";
    const char32_t next = text.at(match.end);
    if (!out.empty() && out.back() == ' ' && (is_space(next) || next == 0 || kMarks.find(next) != std::u32string_view::npos)) out.pop_back();
    return;
  }
  const char32_t before = i > 0 ? text.at(i - 1) : ' ';
  const bool touches = is_letter(before) || is_digit(before) || before == ',' || (!out.empty() && out.back() >= 'a' && out.back() <= 'z' && before != '(');
  if (touches && !out.empty() && out.back() != ' ' && !is_space(before)) out += ' ';
  out += match.words;
  if (!ends_word(text, match.end)) out += ' ';
}

std::string one_pass(std::string_view paragraph) {
  const Characters text(paragraph);
  if (!looks_english(text)) return std::string(paragraph);
  std::string out;
  out.reserve(paragraph.size() + paragraph.size() / 4);
  for (size_t i = 0; i < text.size();) {
    Match match;
    if (find_match(text, i, match)) {
      append_words(text, i, match, out);
      i = match.end;
      continue;
    }
    // The rest of a word in one go: rules look at its start, and at digits within it.
    size_t end = i + 1;
    while (is_letter(text.at(i)) && is_letter(text.at(end))) ++end;
    out += text.between(i, end);
    i = end;
  }
  return out;
}

std::string normalize_paragraph(std::string text) {
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    std::string next = one_pass(text);
    if (next == text) break;
    text = std::move(next);
  }
  return text;
}

}  // namespace
}  // namespace reading

std::string normalize_text(std::string_view text) {
  (void)reading::Characters(text);  // so that the message counts in the whole text
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    // A paragraph with the blank lines after it.
    size_t end = std::min(text.find("\n\n", begin), text.size());
    out += reading::normalize_paragraph(std::string(text.substr(begin, end - begin)));
    const size_t next = std::min(text.find_first_not_of('\n', end), text.size());
    out += text.substr(end, next - end);
    begin = next;
  }
  return out;
}

}  // namespace csm
