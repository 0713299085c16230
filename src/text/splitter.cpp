#include "text/splitter.h"

#include "base/utf8.h"
#include "text/unicode_class.h"

namespace csm {
namespace {

constexpr const char* kLlama3Pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                       R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// A text as code points with their kinds. Reading beyond the end gives the code point 0 and kind kOther of nothing:
// at() never equals a character that a pattern names, and is() is false there.
class Characters {
 public:
  explicit Characters(std::string_view text) {
    offsets_.reserve(text.size() + 1);
    for (size_t position = 0; position < text.size();) {
      offsets_.push_back(position);
      code_points_.push_back(next_code_point(text, position));
      kinds_.push_back(kind_of(code_points_.back()));
    }
    offsets_.push_back(text.size());
  }

  size_t size() const { return kinds_.size(); }
  size_t offset(size_t i) const { return offsets_[i]; }
  char32_t at(size_t i) const { return i < size() ? code_points_[i] : 0; }
  bool is(size_t i, CharKind kind) const { return i < size() && kinds_[i] == kind; }
  bool is_white(size_t i) const { return i < size() && is_white_space(kinds_[i]); }

  // Index after the run of one kind that starts at i (i itself when there is none).
  size_t after_run(size_t i, CharKind kind) const {
    while (is(i, kind)) ++i;
    return i;
  }

 private:
  std::vector<char32_t> code_points_;
  std::vector<CharKind> kinds_;
  std::vector<size_t> offsets_;
};

// Lower case as caseless matching sees it: the long s is an s.
char32_t fold(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
  return c == 0x17F ? U's' : c;
}

// Length of the contraction ('s 't 'm 'd 're 've 'll) at i, 0 if there is none.
size_t contraction(const Characters& text, size_t i, bool caseless) {
  if (text.at(i) != '\'') return 0;
  const char32_t first = caseless ? fold(text.at(i + 1)) : text.at(i + 1);
  const char32_t second = caseless ? fold(text.at(i + 2)) : text.at(i + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const bool three = ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l');
  return three ? 3 : 0;
}

// \s+(?!\S)|\s+ at white space: the whole run at the end of the text, else all but its last character, which goes with
// what follows; a run of one stands alone.
size_t after_white_space(const Characters& text, size_t i) {
  size_t end = i;
  while (text.is_white(end)) ++end;
  return end == text.size() || end - i == 1 ? end : end - 1;
}

// Each of the two functions below gives the index after the match at i. Some alternative of the pattern always matches,
// since every character is a letter, a number, white space or something else; the alternatives are tried in the
// pattern's order.
using AfterMatch = size_t (*)(const Characters& text, size_t i);

size_t after_llama3_match(const Characters& text, size_t i) {
  if (const size_t length = contraction(text, i, true)) return i + length;
  if (text.is(i, CharKind::kLetter)) return text.after_run(i, CharKind::kLetter);
  if (text.is(i, CharKind::kNumber)) {  // \p{N}{1,3}
    size_t end = i + 1;
    while (end < i + 3 && text.is(end, CharKind::kNumber)) ++end;
    return end;
  }
  if (!text.is(i, CharKind::kLineBreak) && text.is(i + 1, CharKind::kLetter))
    return text.after_run(i + 1, CharKind::kLetter);
  const size_t symbols = text.at(i) == ' ' ? i + 1 : i;
  if (text.is(symbols, CharKind::kOther)) {
    return text.after_run(text.after_run(symbols, CharKind::kOther), CharKind::kLineBreak);
  }
  size_t after_break = i;  // \s*[\r\n]+: up to the last line break of the run
  for (size_t end = i; text.is_white(end); ++end) {
    if (text.is(end, CharKind::kLineBreak)) after_break = end + 1;
  }
  return after_break > i ? after_break : after_white_space(text, i);
}

// '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t after_gpt2_match(const Characters& text, size_t i) {
  if (const size_t length = contraction(text, i, false)) return i + length;
  const size_t start = text.at(i) == ' ' ? i + 1 : i;
  for (const CharKind kind : {CharKind::kLetter, CharKind::kNumber, CharKind::kOther}) {
    if (text.is(start, kind)) return text.after_run(start, kind);
  }
  return after_white_space(text, i);
}

class BuiltInSplitter : public Splitter {
 public:
  explicit BuiltInSplitter(AfterMatch after_match) : after_match_(after_match) {}

  void split(std::string_view text, std::vector<std::string_view>& pieces) const override {
    const Characters characters(text);
    for (size_t i = 0; i < characters.size();) {
      const size_t end = after_match_(characters, i);
      pieces.push_back(text.substr(characters.offset(i), characters.offset(end) - characters.offset(i)));
      i = end;
    }
  }

 private:
  AfterMatch after_match_;
};

}  // namespace

std::unique_ptr<Splitter> make_splitter(const std::string& pattern, const std::string& where) {
  if (pattern == kLlama3Pattern) return make_llama3_splitter();
  return make_regex_splitter(pattern, where);
}

std::unique_ptr<Splitter> make_llama3_splitter() { return std::make_unique<BuiltInSplitter>(after_llama3_match); }

std::unique_ptr<Splitter> make_gpt2_splitter() { return std::make_unique<BuiltInSplitter>(after_gpt2_match); }

}  // namespace csm
