// Whether a paragraph is English, by its script and its most frequent words.
//
// Place in the flow: normalize asks before it changes anything. Pure function; any thread.
#pragma once

#include "reading/characters.h"

namespace csm::reading {

// Text that says nothing either way (a number, a name) counts as English.
bool looks_english(const Characters& text);

}  // namespace csm::reading
