// What holds for every text, whatever its bytes; shared by the tests of this folder and the fuzz target.
#pragma once

#include <csm/error.h>
#include <csm/text.h>

#include <string>

#include "base/utf8.h"
#include "reading/characters.h"

namespace csm {

inline std::string without_space(std::string_view text) {
  const reading::Characters characters(text);
  std::string rest;
  for (size_t i = 0; i < characters.size(); ++i) {
    if (!reading::is_space(characters.at(i))) rest += characters.between(i, i + 1);
  }
  return rest;
}

// Of a chunk, in which every stretch of white space is one blank.
inline bool has_space(std::string_view text) { return text.find(' ') != std::string_view::npos; }

inline std::string broken_chunks(const std::string& text, int max_characters) {
  ChunkOptions options;
  options.max_characters = max_characters;
  std::string joined;
  for (const TextChunk& chunk : split_text(text, options)) {
    if (chunk.text.empty() || chunk.text.find('\n') != std::string::npos) return "a chunk is empty or has a line break";
    const bool is_long = reading::Characters(chunk.text).size() > static_cast<size_t>(max_characters);
    if (is_long && has_space(chunk.text)) return "a chunk of several words is too long: " + chunk.text;
    joined += chunk.text;
  }
  return without_space(joined) == without_space(text) ? "" : "the chunks together are not the text";
}

// The code that reading this text as speech ends in where it must end in an error, or the property that fails; "" when all is well.
inline std::string broken_property(const std::string& text) {
  if (first_invalid_utf8(text) != std::string_view::npos) {
    try {
      (void)normalize_text(text);
      return "text that is not UTF-8 was read";
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidArgument ? "" : "another error";
    }
  }
  const std::string spoken = normalize_text(text);
  if (first_invalid_utf8(spoken) != std::string_view::npos) return "the normalised text is not UTF-8";
  if (normalize_text(spoken) != spoken) return "normalising twice gives another text: " + spoken;
  std::string joined;
  for (const std::string& sentence : split_sentences(text)) {
    if (sentence.empty()) return "a sentence is empty";
    joined += sentence;
  }
  if (without_space(joined) != without_space(text)) return "the sentences together are not the text";
  if (text.find("[pause:") != std::string::npos) {
    try {
      (void)split_text(text, {});
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidArgument ? "" : "another error";
    }
    return "";
  }
  for (const int max_characters : {20, 45, 160}) {
    const std::string broken = broken_chunks(text, max_characters);
    if (!broken.empty()) return broken;
  }
  return "";
}

}  // namespace csm
