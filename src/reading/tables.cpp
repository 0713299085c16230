#include "reading/tables.h"

#include <algorithm>

namespace csm::reading {

bool read_fraction_sign(char32_t c, std::string& words) {
  const auto* found = std::find_if(std::begin(kFractionSigns), std::end(kFractionSigns), [&](const FractionSign& fraction) { return fraction.sign == c; });
  if (found == std::end(kFractionSigns)) return false;
  words = found->words;
  return true;
}

}  // namespace csm::reading
