// Text before it is spoken: sentences, pieces of a length that a model reads well, pauses, numbers and signs as English words, and
// scripts of several speakers.
//
// All of it is pure: no model, no state, any thread. Text is UTF-8; text that is not ends in kInvalidArgument with the byte.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace csm {

// Sentences in order, without the white space around them. Abbreviations (Dr., e.g., U.S.), initials, decimals, list numbers, ellipses
// and addresses end none; closing quotes and brackets belong to the sentence before them. Chinese and Japanese full stops need no blank.
std::vector<std::string> split_sentences(std::string_view text);

struct ChunkOptions {
  int max_characters = 160;  // 20 to 10,000: of a chunk, in code points; a longer word stands alone
  // Silence after a chunk that ends so. Between words there is none.
  double clause_pause_s = 0.05;
  double sentence_pause_s = 0.2;
  double paragraph_pause_s = 0.6;

  void validate() const;
};

struct TextChunk {
  std::string text;           // one line, not empty
  double pause_before_s = 0;  // only what stands before the first chunk of all
  double pause_after_s = 0;
  bool ends_paragraph = false;
};

// Long text in pieces: whole sentences up to the length, and a longer sentence at its clauses, then between words. Paragraphs (blank
// lines) are kept apart. [pause:0.5s] or [pause:300ms] ends a piece and stands instead of the pause that would be there.
// Errors: kInvalidArgument also for a pause that cannot be read or is longer than a minute (says in which line).
std::vector<TextChunk> split_text(std::string_view text, const ChunkOptions& options);

// English text with what speech models read badly written out: numbers, ordinals, years, dates, times, money, percentages, units,
// telephone numbers, fractions, Roman numerals after names, addresses, abbreviations, signs; emoji get their name or go. Words stay as
// they are, and paragraphs in another language or script stay untouched. normalize_text(normalize_text(x)) is normalize_text(x).
std::string normalize_text(std::string_view text);

struct ScriptLine {
  int speaker = 0;    // index into Script::speakers
  std::string text;   // not empty; may hold line breaks
  std::string voice;  // as the file names it; "": that of the speaker
  int line = 0;       // where it starts, from 1
};

struct Script {
  std::vector<std::string> speakers;  // names in the order of their appearance
  std::vector<ScriptLine> lines;
};

// Two forms, told apart by the first line that says something:
//   Anna: Hello there.            a name of up to 40 characters without sentence marks, a colon, text;
//     And some more.              lines that name nobody go on with the turn; an empty line ends a paragraph
//   # a comment
//   {"speaker": "Anna", "text": "Hello there.", "voice": "anna"}     JSON lines; a speaker may be a number; voice may be left out
// `where` opens the messages. Errors: kInvalidData with the line.
Script parse_script(std::string_view text, const std::string& where);

}  // namespace csm
