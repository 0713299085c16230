// Long text -> pieces of a length that a model reads well (csm/text.h).
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <csm/text.h>

#include "base/fail.h"
#include "reading/sentences.h"

namespace csm {
namespace reading {
namespace {

constexpr double kMaxPauseSeconds = 60;

enum class Break { kWord, kClause, kSentence, kParagraph };

// A stretch that is never cut again, and what follows it.
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  Break after = Break::kWord;
  bool starts_sentence = false;
  bool is_whole_sentence = false;
};

bool is_clause_mark(char32_t c) {
  constexpr std::u32string_view kMarks = U",;:\u2014\u2013\u3001\uFF0C\uFF1B\uFF1A\u060C";
  return kMarks.find(c) != std::u32string_view::npos;
}

// Whether a piece may end before i, and how well. [begin, end) is a sentence.
bool breaks_before(const Characters& text, size_t i, Break& kind) {
  const char32_t last = text.at(i - 1);
  const bool is_blank = is_space(text.at(i));
  if (!is_blank && !is_ideographic(last) && !(is_clause_mark(last) && last > 0x2FFF)) return false;
  kind = is_clause_mark(last) ? Break::kClause : Break::kWord;
  return true;
}

// Marks that close a phrase stay with what they close.
bool is_mark(char32_t c) { return !is_letter(c) && !is_digit(c) && !is_space(c); }

// The words of a sentence that is too long, each with the break after it.
void add_words(const Characters& text, const Sentence& sentence, std::vector<Piece>& pieces) {
  size_t begin = sentence.begin;
  for (size_t i = begin + 1; i < sentence.end; ++i) {
    Break kind = Break::kWord;
    if (!breaks_before(text, i, kind) || (is_ideographic(text.at(i - 1)) && is_mark(text.at(i)))) continue;
    pieces.push_back({begin, i, kind, begin == sentence.begin, false});
    while (i < sentence.end && is_space(text.at(i))) ++i;
    begin = i;
  }
  pieces.push_back({begin, sentence.end, sentence.ends_paragraph ? Break::kParagraph : Break::kSentence, begin == sentence.begin, false});
}

std::vector<Piece> make_pieces(const Characters& text, size_t max_characters) {
  std::vector<Piece> pieces;
  for (const Sentence& sentence : find_sentences(text)) {
    if (sentence.end - sentence.begin > max_characters) {
      add_words(text, sentence, pieces);
    } else {
      pieces.push_back({sentence.begin, sentence.end, sentence.ends_paragraph ? Break::kParagraph : Break::kSentence, true, true});
    }
  }
  return pieces;
}

// How many pieces from `first` on make the next chunk: as many as fit, ended where the best break is.
size_t n_pieces_of_chunk(const std::vector<Piece>& pieces, size_t first, size_t max_characters) {
  size_t n = 0;
  size_t at_clause = 0;
  for (size_t i = first; i < pieces.size(); ++i) {
    const bool fits = pieces[i].end - pieces[first].begin <= max_characters;
    const bool is_same_kind = pieces[first].is_whole_sentence ? pieces[i].is_whole_sentence : i == first || !pieces[i].starts_sentence;
    if (i > first && (!fits || !is_same_kind)) break;
    n = i - first + 1;
    if (pieces[i].after == Break::kClause) at_clause = n;
    if (pieces[i].after == Break::kParagraph || (!pieces[first].is_whole_sentence && pieces[i].after == Break::kSentence)) return n;
  }
  // A clause that fills at least a third of the length is better than a cut between two words.
  const Break last = pieces[first + n - 1].after;
  const bool is_long_enough = at_clause > 0 && 3 * (pieces[first + at_clause - 1].end - pieces[first].begin) >= max_characters;
  return last == Break::kWord && is_long_enough ? at_clause : n;
}

double pause_after(Break kind, const ChunkOptions& options) {
  switch (kind) {
    case Break::kWord: return 0;
    case Break::kClause: return options.clause_pause_s;
    case Break::kSentence: return options.sentence_pause_s;
    case Break::kParagraph: return options.paragraph_pause_s;
  }
  return 0;
}

// White space of any kind becomes one blank.
std::string one_line(std::string_view text) {
  const Characters characters(text);
  std::string line;
  for (size_t i = 0; i < characters.size(); ++i) {
    if (!is_space(characters.at(i))) {
      line += characters.between(i, i + 1);
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

// Text without pause marks.
void add_chunks(std::string_view part, const ChunkOptions& options, std::vector<TextChunk>& chunks) {
  const Characters text(part);
  const auto max_characters = static_cast<size_t>(options.max_characters);
  const std::vector<Piece> pieces = make_pieces(text, max_characters);
  for (size_t first = 0; first < pieces.size();) {
    const size_t last = first + n_pieces_of_chunk(pieces, first, max_characters) - 1;
    TextChunk chunk;
    chunk.text = one_line(text.between(pieces[first].begin, pieces[last].end));
    chunk.pause_after_s = pause_after(pieces[last].after, options);
    chunk.ends_paragraph = pieces[last].after == Break::kParagraph;
    chunks.push_back(std::move(chunk));
    first = last + 1;
  }
}

struct PauseMark {
  size_t end = 0;  // of the mark, in bytes
  double seconds = 0;
};

// The pause whose mark starts at `begin`.
PauseMark read_pause(std::string_view text, size_t begin, size_t n_head) {
  const size_t close = text.find(']', begin);
  const std::string value(text.substr(begin + n_head, close == std::string_view::npos ? 24 : std::min<size_t>(close - begin - n_head, 24)));
  char* unit = nullptr;
  const bool starts_well = !value.empty() && (is_digit(static_cast<unsigned char>(value[0])) || value[0] == '.');
  const double number = starts_well ? std::strtod(value.c_str(), &unit) : -1;
  const std::string_view rest = unit == nullptr ? "" : unit;
  const double seconds = rest == "ms" ? number / 1000 : number;
  if (close == std::string_view::npos || (rest != "s" && rest != "ms") || !(seconds >= 0 && seconds <= kMaxPauseSeconds)) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
    fail(ErrorCode::kInvalidArgument, "line {}: the pause '{}' cannot be read; expected [pause:0.5s] or [pause:300ms], up to {} s", line,
         one_line(text.substr(begin, close == std::string_view::npos ? n_head : std::min(close - begin + 1, n_head + 24))), kMaxPauseSeconds);
  }
  return {close + 1, seconds};
}

}  // namespace
}  // namespace reading

void ChunkOptions::validate() const {
  if (max_characters < 20 || max_characters > 10'000) {
    fail(ErrorCode::kInvalidArgument, "max_characters is {}; expected 20 to 10000", max_characters);
  }
  const std::pair<const char*, double> pauses[] = {
      {"clause_pause_s", clause_pause_s}, {"sentence_pause_s", sentence_pause_s}, {"paragraph_pause_s", paragraph_pause_s}};
  for (const auto& [name, value] : pauses) {
    if (!(value >= 0 && value <= reading::kMaxPauseSeconds)) {
      fail(ErrorCode::kInvalidArgument, "{} is {}; expected 0 to {}", name, value, reading::kMaxPauseSeconds);
    }
  }
}

std::vector<TextChunk> split_text(std::string_view text, const ChunkOptions& options) {
  constexpr std::string_view kHead = "[pause:";
  options.validate();
  (void)reading::Characters(text);  // so that the message counts in the whole text
  std::vector<TextChunk> chunks;
  double pause_before = 0;
  bool after_pause = false;
  for (size_t position = 0; position <= text.size();) {
    const size_t mark = std::min(text.find(kHead, position), text.size());
    const size_t n_before = chunks.size();
    reading::add_chunks(text.substr(position, mark - position), options, chunks);
    if (chunks.size() > n_before) {
      chunks[n_before].pause_before_s = n_before == 0 ? pause_before : 0;
      after_pause = false;
    }
    if (mark == text.size()) break;
    const reading::PauseMark pause = reading::read_pause(text, mark, kHead.size());
    double& sum = chunks.empty() ? pause_before : chunks.back().pause_after_s;
    sum = (chunks.empty() || after_pause ? sum : 0) + pause.seconds;
    after_pause = true;
    position = pause.end;
  }
  return chunks;
}

}  // namespace csm
