// Where sentences and paragraphs end.
//
// Place in the flow: long text -> (here) -> chunks. Pure functions; any thread.
#pragma once

#include <vector>

#include "reading/characters.h"

namespace csm::reading {

// Indices of characters; white space at both ends is left out.
struct Sentence {
  size_t begin = 0;
  size_t end = 0;
  bool ends_paragraph = false;
};

std::vector<Sentence> find_sentences(const Characters& text);

}  // namespace csm::reading
