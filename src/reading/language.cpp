#include "reading/language.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace csm::reading {
namespace {

// Words of one language that the others lack, most frequent first. Short words that are English as well are left out.
constexpr std::string_view kEnglish[] = {"the",  "and",   "of",    "to",    "is",    "that", "it",   "was",  "for",  "with", "you",   "this", "are",
                                         "have", "not",   "be",    "they",  "from",  "his",  "her",  "she",  "we",   "which", "would", "there", "their",
                                         "what", "about", "been",  "when",  "who",   "will", "were", "has",  "our",  "out",  "i",     "my",   "your",
                                         "by",   "at",    "how",   "or",    "but",   "if",   "can",  "did",  "do",   "us",   "these", "costs", "today"};
constexpr std::string_view kOthers[] = {
    // German, Dutch
    "der", "und", "das", "ist", "nicht", "ein", "eine", "ich", "mit", "auf", "den", "dem", "sich", "auch", "wir", "sie", "von", "zu", "f\u00FCr", "im",
    "het", "een", "van", "niet", "dat", "zijn", "voor", "wij", "uur", "uhr", "kostet", "heute",
    // French, Spanish, Portuguese, Italian
    "le", "la", "les", "des", "est", "une", "dans", "pour", "qui", "que", "nous", "vous", "avec", "sur", "pas", "el", "los", "las", "una", "por", "con",
    "para", "como", "est\u00E1", "os", "um", "uma", "n\u00E3o", "il", "di", "che", "non", "sono", "della", "gli", "per", "cuesta", "co\u00FBte", "et",
    "du", "au", "ce", "cette", "en", "del", "se",
    // Scandinavian, Polish, Czech, Turkish
    "och", "det", "som", "inte", "att", "er", "ikke", "jeg", "og", "av", "jest", "nie", "si\u0119", "na", "je", "ve", "bir", "bu", "i\u00E7in"};

template <size_t n>
bool contains(const std::string_view (&list)[n], std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// ASCII and Latin-1 letters in lower case.
void append_lower(const Characters& text, size_t i, std::string& word) {
  const char32_t c = text.at(i);
  if (c >= 'A' && c <= 'Z') {
    word += static_cast<char>(c - 'A' + 'a');
  } else if (c >= 0xC0 && c <= 0xDE && c != 0xD7) {
    word += {static_cast<char>(0xC3), static_cast<char>(0x80 + (c - 0xC0 + 0x20))};
  } else {
    word += text.between(i, i + 1);
  }
}

// Greek and Cyrillic, Hebrew, Arabic, Indic, East Asian: everything beyond the Latin blocks.
bool is_other_script(char32_t c) { return is_letter(c) && c >= 0x370 && !(c >= 0x1E00 && c <= 0x1EFF) && !(c >= 0xFB00 && c <= 0xFB06); }

}  // namespace

bool looks_english(const Characters& text) {
  size_t n_words = 0, n_english = 0, n_other = 0, n_letters = 0, n_foreign_letters = 0, n_accented_words = 0;
  for (size_t i = 0; i < text.size();) {
    if (!is_letter(text.at(i))) {
      ++i;
      continue;
    }
    std::string word;
    bool is_accented = false;
    for (; is_letter(text.at(i)); ++i) {
      ++n_letters;
      if (is_other_script(text.at(i))) ++n_foreign_letters;
      is_accented = is_accented || text.at(i) >= 0xC0;
      append_lower(text, i, word);
    }
    ++n_words;
    if (contains(kEnglish, word)) ++n_english;
    if (contains(kOthers, word)) ++n_other;
    if (is_accented) ++n_accented_words;
  }
  if (4 * n_foreign_letters > n_letters) return false;
  if (n_english == 0 && n_other == 0) return 3 * n_accented_words < n_words || n_words == 0;
  // One word may be a name: Los Angeles.
  return n_english >= n_other || (n_other == 1 && n_accented_words == 0 && n_words > 2);
}

}  // namespace csm::reading
