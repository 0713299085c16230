// Numbers as English words: "one thousand two hundred thirty-four", "twenty-first", "nineteen eighty-four".
//
// Place in the flow: normalize -> (here). Digits come as text, so no number is too long. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace csm::reading {

// All arguments are ASCII digits, at least one.
std::string cardinal(std::string_view digits);         // beyond 18 digits: one by one
std::string ordinal(std::string_view digits);          // "third"
std::string one_by_one(std::string_view digits);       // "five five five"
std::string year(std::string_view digits);             // four digits: "nineteen oh five", "two thousand", "twenty twenty-four"
std::string plural(const std::string& words);          // of the last word: "nineties", "fives"
std::string fraction_part(std::string_view numerator, std::string_view denominator);  // "three quarters"

}  // namespace csm::reading
