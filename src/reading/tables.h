// The data of English normalisation: one table for each kind.
//
// Place in the flow: read by the rules. Pure data.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace csm::reading {

struct Unit {
  std::string_view sign;
  std::string_view singular;
  std::string_view plural;
  bool needs_digit_beside = false;  // with a blank between, the sign is more often a word
};
inline constexpr Unit kUnits[] = {
    {"km", "kilometer", "kilometers"},
    {"m", "meter", "meters"},
    {"cm", "centimeter", "centimeters"},
    {"mm", "millimeter", "millimeters"},
    {"\u00B5m", "micrometer", "micrometers"},
    {"nm", "nanometer", "nanometers"},
    {"mi", "mile", "miles"},
    {"ft", "foot", "feet"},
    {"yd", "yard", "yards"},
    {"km\u00B2", "square kilometer", "square kilometers"},
    {"m\u00B2", "square meter", "square meters"},
    {"m\u00B3", "cubic meter", "cubic meters"},
    {"cm\u00B2", "square centimeter", "square centimeters"},
    {"cm\u00B3", "cubic centimeter", "cubic centimeters"},
    {"ha", "hectare", "hectares", true},
    {"kg", "kilogram", "kilograms"},
    {"g", "gram", "grams"},
    {"mg", "milligram", "milligrams"},
    {"\u00B5g", "microgram", "micrograms"},
    {"lb", "pound", "pounds"},
    {"lbs", "pound", "pounds"},
    {"oz", "ounce", "ounces"},
    {"L", "liter", "liters"},
    {"l", "liter", "liters", true},
    {"ml", "milliliter", "milliliters"},
    {"mL", "milliliter", "milliliters"},
    {"cl", "centiliter", "centiliters"},
    {"s", "second", "seconds", true},
    {"sec", "second", "seconds"},
    {"ms", "millisecond", "milliseconds"},
    {"\u00B5s", "microsecond", "microseconds"},
    {"ns", "nanosecond", "nanoseconds"},
    {"min", "minute", "minutes"},
    {"h", "hour", "hours"},
    {"hr", "hour", "hours"},
    {"hrs", "hour", "hours"},
    {"Hz", "hertz", "hertz"},
    {"kHz", "kilohertz", "kilohertz"},
    {"MHz", "megahertz", "megahertz"},
    {"GHz", "gigahertz", "gigahertz"},
    {"B", "byte", "bytes", true},
    {"kB", "kilobyte", "kilobytes"},
    {"KB", "kilobyte", "kilobytes"},
    {"MB", "megabyte", "megabytes"},
    {"GB", "gigabyte", "gigabytes"},
    {"TB", "terabyte", "terabytes"},
    {"KiB", "kibibyte", "kibibytes"},
    {"MiB", "mebibyte", "mebibytes"},
    {"GiB", "gibibyte", "gibibytes"},
    {"kbit/s", "kilobit per second", "kilobits per second"},
    {"Mbit/s", "megabit per second", "megabits per second"},
    {"Mbps", "megabit per second", "megabits per second"},
    {"Gbps", "gigabit per second", "gigabits per second"},
    {"W", "watt", "watts"},
    {"kW", "kilowatt", "kilowatts"},
    {"MW", "megawatt", "megawatts"},
    {"kWh", "kilowatt hour", "kilowatt hours"},
    {"V", "volt", "volts"},
    {"mA", "milliampere", "milliamperes"},
    {"mAh", "milliampere hour", "milliampere hours"},
    {"J", "joule", "joules"},
    {"kJ", "kilojoule", "kilojoules"},
    {"cal", "calorie", "calories"},
    {"kcal", "kilocalorie", "kilocalories"},
    {"N", "newton", "newtons", true},
    {"Pa", "pascal", "pascals"},
    {"kPa", "kilopascal", "kilopascals"},
    {"psi", "pound per square inch", "pounds per square inch"},
    {"dB", "decibel", "decibels"},
    {"km/h", "kilometer per hour", "kilometers per hour"},
    {"kph", "kilometer per hour", "kilometers per hour"},
    {"mph", "mile per hour", "miles per hour"},
    {"m/s", "meter per second", "meters per second"},
    {"rpm", "revolution per minute", "revolutions per minute"},
    {"fps", "frame per second", "frames per second"},
    {"px", "pixel", "pixels"},
    {"\u00B0", "degree", "degrees"},
    {"\u00B0C", "degree Celsius", "degrees Celsius"},
    {"\u00B0F", "degree Fahrenheit", "degrees Fahrenheit"},
    {"K", "thousand", "thousand", true},
    {"k", "thousand", "thousand", true},
    {"M", "million", "million", true},
    {"bn", "billion", "billion"},
    {"\u2030", "per mille", "per mille"},
};

struct Currency {
  std::string_view sign;  // before or behind the number; "" for a code alone
  std::string_view code;
  std::string_view singular;
  std::string_view plural;
  std::string_view minor_singular;  // "" when there is none
  std::string_view minor_plural;
};
inline constexpr Currency kCurrencies[] = {
    {"US$", "USD", "US dollar", "US dollars", "cent", "cents"},
    {"A$", "AUD", "Australian dollar", "Australian dollars", "cent", "cents"},
    {"C$", "CAD", "Canadian dollar", "Canadian dollars", "cent", "cents"},
    {"$", "", "dollar", "dollars", "cent", "cents"},
    {"\u00A3", "GBP", "pound", "pounds", "penny", "pence"},
    {"\u20AC", "EUR", "euro", "euros", "cent", "cents"},
    {"\u00A5", "JPY", "yen", "yen", "", ""},
    {"\u20B9", "INR", "rupee", "rupees", "paisa", "paise"},
    {"\u20A9", "KRW", "won", "won", "", ""},
    {"\u20BD", "RUB", "ruble", "rubles", "kopeck", "kopecks"},
    {"\u20BF", "BTC", "bitcoin", "bitcoins", "", ""},
    {"", "CHF", "Swiss franc", "Swiss francs", "centime", "centimes"},
    {"", "CNY", "yuan", "yuan", "", ""},
    {"\u00A2", "", "cent", "cents", "", ""},
};

struct Magnitude {
  std::string_view sign;  // beside the number of an amount
  std::string_view word;  // the same, written out, after a blank
};
inline constexpr Magnitude kMagnitudes[] = {{"K", "thousand"}, {"k", "thousand"},  {"M", "million"}, {"m", "million"}, {"mn", "million"},
                                            {"B", "billion"},  {"bn", "billion"},  {"b", "billion"}, {"T", "trillion"}, {"tn", "trillion"}};

struct Month {
  std::string_view name;
  std::string_view abbreviation;  // without the full stop
};
inline constexpr Month kMonths[] = {{"January", "Jan"},   {"February", "Feb"}, {"March", "Mar"},      {"April", "Apr"},
                                    {"May", "May"},       {"June", "Jun"},     {"July", "Jul"},       {"August", "Aug"},
                                    {"September", "Sep"}, {"October", "Oct"},  {"November", "Nov"},   {"December", "Dec"},
                                    {"September", "Sept"}};

// Before a year, in lower case.
inline constexpr std::array<std::string_view, 40> kYearCues = {
    "in",     "since",   "by",       "until",   "till",   "during", "year",  "circa",  "before", "after",  "early",   "late",    "from", "of",
    "spring", "summer",  "autumn",   "fall",    "winter", "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december", "around", "about",  "through", "mid",   "census", "edition", "copyright", "vintage", "anno"};
inline constexpr std::array<std::string_view, 6> kEras = {"AD", "BC", "CE", "BCE", "ad", "bc"};
// Plurals without an s.
inline constexpr std::array<std::string_view, 10> kCountedWords = {"people", "men",   "women", "children", "feet",
                                                                   "sheep",  "fish",  "percent", "million", "thousand"};

enum class AbbreviationKind {
  kTitle,         // a capital follows; the full stop goes, and may be missing where bare is set
  kInside,        // never the end of a sentence
  kAnywhere,      // the full stop stays where a sentence may end
  kBeforeNumber,  // digits follow
};
struct Abbreviation {
  std::string_view text;  // without the final full stop
  std::string_view words;
  AbbreviationKind kind;
  bool bare = false;  // also without a full stop
};
inline constexpr Abbreviation kAbbreviations[] = {
    {"Dr", "Doctor", AbbreviationKind::kTitle, true},
    {"Mr", "Mister", AbbreviationKind::kTitle, true},
    {"Mrs", "Missus", AbbreviationKind::kTitle, true},
    {"Ms", "Miz", AbbreviationKind::kTitle},
    {"Prof", "Professor", AbbreviationKind::kTitle, true},
    {"Rev", "Reverend", AbbreviationKind::kTitle},
    {"Hon", "Honorable", AbbreviationKind::kTitle},
    {"Gen", "General", AbbreviationKind::kTitle},
    {"Col", "Colonel", AbbreviationKind::kTitle},
    {"Maj", "Major", AbbreviationKind::kTitle},
    {"Capt", "Captain", AbbreviationKind::kTitle},
    {"Lt", "Lieutenant", AbbreviationKind::kTitle},
    {"Sgt", "Sergeant", AbbreviationKind::kTitle},
    {"Adm", "Admiral", AbbreviationKind::kTitle},
    {"Gov", "Governor", AbbreviationKind::kTitle},
    {"Sen", "Senator", AbbreviationKind::kTitle},
    {"Pres", "President", AbbreviationKind::kTitle},
    {"Mt", "Mount", AbbreviationKind::kTitle},
    {"Ft", "Fort", AbbreviationKind::kTitle},
    {"Ave", "Avenue", AbbreviationKind::kAnywhere},
    {"Blvd", "Boulevard", AbbreviationKind::kAnywhere},
    {"Rd", "Road", AbbreviationKind::kAnywhere},
    {"Jr", "Junior", AbbreviationKind::kAnywhere},
    {"Sr", "Senior", AbbreviationKind::kAnywhere},
    {"Inc", "Incorporated", AbbreviationKind::kAnywhere},
    {"Ltd", "Limited", AbbreviationKind::kAnywhere},
    {"Corp", "Corporation", AbbreviationKind::kAnywhere},
    {"Co", "Company", AbbreviationKind::kAnywhere},
    {"Bros", "Brothers", AbbreviationKind::kAnywhere},
    {"Dept", "Department", AbbreviationKind::kAnywhere},
    {"dept", "department", AbbreviationKind::kAnywhere},
    {"etc", "et cetera", AbbreviationKind::kAnywhere},
    {"e.g", "for example", AbbreviationKind::kInside},
    {"i.e", "that is", AbbreviationKind::kInside},
    {"a.k.a", "also known as", AbbreviationKind::kInside},
    {"vs", "versus", AbbreviationKind::kInside, true},
    {"approx", "approximately", AbbreviationKind::kInside},
    {"cf", "compare", AbbreviationKind::kInside},
    {"No", "number", AbbreviationKind::kBeforeNumber},
    {"no", "number", AbbreviationKind::kBeforeNumber},
    {"Nos", "numbers", AbbreviationKind::kBeforeNumber},
    {"p", "page", AbbreviationKind::kBeforeNumber},
    {"pp", "pages", AbbreviationKind::kBeforeNumber},
    {"vol", "volume", AbbreviationKind::kBeforeNumber},
    {"Vol", "Volume", AbbreviationKind::kBeforeNumber},
    {"ch", "chapter", AbbreviationKind::kBeforeNumber},
    {"Ch", "Chapter", AbbreviationKind::kBeforeNumber},
    {"fig", "figure", AbbreviationKind::kBeforeNumber},
    {"Fig", "Figure", AbbreviationKind::kBeforeNumber},
    {"sec", "section", AbbreviationKind::kBeforeNumber},
    {"est", "established", AbbreviationKind::kBeforeNumber},
    {"ca", "circa", AbbreviationKind::kBeforeNumber},
};

// A Roman numeral after these is a rank: "Henry the Eighth".
inline constexpr std::array<std::string_view, 30> kRegnalNames = {
    "Henry",  "Louis",   "Edward",  "George",    "Charles",  "James",   "William",  "Richard", "Elizabeth", "Mary",
    "Philip", "Francis", "Peter",   "Catherine", "Nicholas", "Alexander", "Frederick", "Napoleon", "Ptolemy", "Ramesses",
    "Paul",   "John",    "Benedict", "Gregory",  "Leo",      "Innocent", "Pius",     "Clement", "Margrethe", "Gustav"};
// And after these a number: "Chapter Four".
inline constexpr std::array<std::string_view, 20> kNumberedThings = {"Chapter", "Part",  "Volume", "Book",    "Act",      "Scene", "War",
                                                                     "Section", "Phase", "Stage",  "Appendix", "Article", "Bowl", "Canto",
                                                                     "Episode", "Level", "Class",  "Type",    "Title",    "Mark"};

// Said when the sign stands alone: between blanks, or between letters and digits where the text has it so.
struct Sign {
  char32_t sign;
  std::string_view words;
  bool needs_blanks;  // only between blanks, digits or the ends of the text
};
inline constexpr Sign kSigns[] = {
    {'&', "and", false},           {'+', "plus", true},          {'=', "equals", true},         {'@', "at", true},
    {'%', "percent", true},        {0xD7, "times", false},       {0xF7, "divided by", false},   {0xB1, "plus or minus", false},
    {'<', "less than", true},      {'>', "greater than", true},  {0x2264, "at most", false},    {0x2265, "at least", false},
    {0x2260, "is not", false},     {0x2248, "about", false},     {0xB0, "degrees", true},       {0xA7, "section", false},
    {0xA9, "copyright", false},    {0xAE, "", false},            {0x2122, "", false},           {0x2022, "", true},
    {0x2192, "to", true},          {0x221E, "infinity", false},  {0x2116, "number", false},
};

struct FractionSign {
  char32_t sign;
  std::string_view words;
};
inline constexpr FractionSign kFractionSigns[] = {
    {0xBC, "one quarter"},    {0xBD, "one half"},      {0xBE, "three quarters"}, {0x2153, "one third"},    {0x2154, "two thirds"},
    {0x2155, "one fifth"},    {0x2156, "two fifths"},  {0x2157, "three fifths"}, {0x2158, "four fifths"},  {0x2159, "one sixth"},
    {0x215A, "five sixths"},  {0x215B, "one eighth"},  {0x215C, "three eighths"}, {0x215D, "five eighths"}, {0x215E, "seven eighths"}};
// False when the character is no such sign.
bool read_fraction_sign(char32_t c, std::string& words);

// Emoji that are said; the others go.
struct EmojiName {
  char32_t code_point;
  std::string_view words;
};
inline constexpr EmojiName kEmojiNames[] = {
    {0x2764, "heart"},           {0x2665, "heart"},         {0x1F494, "broken heart"},  {0x1F600, "grinning face"}, {0x1F601, "grinning face"},
    {0x1F602, "tears of joy"},   {0x1F603, "smiling face"}, {0x1F604, "smiling face"},  {0x1F60A, "smiling face"},  {0x1F642, "smiling face"},
    {0x263A, "smiling face"},    {0x1F609, "winking face"}, {0x1F60D, "heart eyes"},    {0x1F622, "crying face"},   {0x1F62D, "crying face"},
    {0x1F620, "angry face"},     {0x1F914, "thinking face"}, {0x1F44D, "thumbs up"},    {0x1F44E, "thumbs down"},   {0x1F44B, "waving hand"},
    {0x1F44F, "clapping hands"}, {0x1F64F, "folded hands"}, {0x1F525, "fire"},          {0x1F389, "party popper"},  {0x1F680, "rocket"},
    {0x2B50, "star"},            {0x2705, "check mark"},    {0x2714, "check mark"},     {0x274C, "cross mark"},     {0x1F4AF, "hundred points"},
    {0x2600, "sun"},             {0x1F436, "dog face"},     {0x1F431, "cat face"},      {0x1F923, "laughing"},      {0x1F4A9, "pile of poo"}};

// The last part of an address without a scheme.
inline constexpr std::array<std::string_view, 22> kTopDomains = {"com", "org", "net", "edu", "gov", "io", "ai", "uk", "de", "fr", "eu",
                                                                 "info", "dev", "app", "tv",  "ch", "nl", "jp", "ca", "au", "us", "biz"};

}  // namespace csm::reading
