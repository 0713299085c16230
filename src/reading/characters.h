// A text as code points with their places, for code that looks around a place. Beyond either end there is the code point 0.
//
// Place in the flow: under every file of this folder. A view; the text must outlive it. Not shared between threads while built.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace csm::reading {

class Characters {
 public:
  // Errors: kInvalidArgument when text is not UTF-8 (says at which byte) or longer than 64 MiB.
  explicit Characters(std::string_view text);

  size_t size() const { return code_points_.size(); }
  char32_t at(size_t i) const { return i < size() ? code_points_[i] : 0; }  // i before 0 wraps to beyond the end
  size_t offset(size_t i) const { return offsets_[i < size() ? i : size()]; }
  std::string_view between(size_t begin, size_t end) const { return text_.substr(offset(begin), offset(end) - offset(begin)); }

 private:
  std::string_view text_;
  std::vector<char32_t> code_points_;
  std::vector<size_t> offsets_;  // one more than code points
};

bool is_space(char32_t c);
bool is_digit(char32_t c);      // ASCII
bool is_letter(char32_t c);     // ASCII and everything beyond ASCII that is no known punctuation or space
bool is_upper(char32_t c);      // ASCII, Latin-1, Greek and Cyrillic capitals
bool is_lower(char32_t c);
bool is_ideographic(char32_t c);  // written without blanks: Han, kana, Thai and their neighbours

}  // namespace csm::reading
