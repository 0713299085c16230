// English text written out: one table for each kind, words and other languages as they were, and the same text when done twice.
#include <csm/text.h>

#include "reading_test.h"
#include "text_properties.h"

namespace csm {
namespace {

struct Case {
  const char* text;
  const char* spoken;
};

void check(std::initializer_list<Case> cases) {
  for (const auto& [text, spoken] : cases) {
    EXPECT_EQ(normalize_text(text), spoken);
    EXPECT_EQ(normalize_text(spoken), spoken) << "twice is once";
  }
}

TEST(Normalize, Numbers) {
  check({
      {"I have 5 apples and 1,234 pears.",
       "I have five apples and one thousand two hundred thirty-four pears."},
      {"It was -5 or 3.14 or .5.",
       "It was minus five or three point one four or point five."},
      {"The 1st, 2nd, 11th, 21st and 100th.",
       "The first, second, eleventh, twenty-first and one hundredth."},
      {"Pages 3-5 and 0 to 1000000.",
       "Pages three to five and zero to one million."},
      {"Agent 007 and 12345678901234567890.",
       "Agent zero zero seven and one two three four five six seven eight nine zero one two three four five six seven eight nine zero."},
      {"It is 1/2, 3/4, 2 1/2 or 2\xC2\xBD and 24/7.",
       "It is one half, three quarters, two and a half or two and a half and twenty-four seven."},
      {"My mp3, H2O, COVID-19 and v1.2.3.",
       "My mp three, H two O, COVID-nineteen and v one point two point three."},
  });
}

TEST(Normalize, Years) {
  check({
      {"In 1999, in 2024 and in 1805; 1990-1995.",
       "In nineteen ninety-nine, in twenty twenty-four and in eighteen oh five; nineteen ninety to nineteen ninety-five."},
      {"The 1990s, the '80s, 2000 and 1500 people.",
       "The nineteen nineties, the eighties, two thousand and one thousand five hundred people."},
  });
}

TEST(Normalize, Dates) {
  check({
      {"On 2024-03-15 or 3/15/2024 or 15/03/2024.",
       "On March fifteenth, twenty twenty-four or March fifteenth, twenty twenty-four or March fifteenth, twenty twenty-four."},
      {"On March 3, 2024, Jan. 5 and 3 May.",
       "On March third, twenty twenty-four, January fifth and the third of May."},
      {"On the 4th of July.",
       "On the fourth of July."},
  });
}

TEST(Normalize, Times) {
  check({
      {"At 3:30 pm, 3 p.m. or 15:00.",
       "At three thirty p m, three p m or fifteen hundred."},
      {"At 3:05. At 9:00. At 0:00. At 12:30:15.",
       "At three oh five. At nine o'clock. At midnight. At twelve thirty and fifteen seconds."},
      {"It was 5 p.m. Then we left.",
       "It was five p m. Then we left."},
  });
}

TEST(Normalize, Money) {
  check({
      {"It costs $5, $5.50, $1 or $0.99.",
       "It costs five dollars, five dollars and fifty cents, one dollar or ninety-nine cents."},
      {"It costs \xC2\xA3" "3.5 million, \xE2\x82\xAC" "20, 20 EUR and -$3.",
       "It costs three point five million pounds, twenty euros, twenty euros and minus three dollars."},
      {"It costs $5-10 or $1.2M.",
       "It costs five to ten dollars or one point two million dollars."},
  });
}

TEST(Normalize, PercentAndUnits) {
  check({
      {"About 50% of 3.5 %.",
       "About fifty percent of three point five percent."},
      {"Run 10 km, 5km and 1 kg at 90 km/h.",
       "Run ten kilometers, five kilometers and one kilogram at ninety kilometers per hour."},
      {"It is 20 \xC2\xB0" "C or -4\xC2\xB0" "F, with 2.4 GHz and 5 m\xC2\xB2.",
       "It is twenty degrees Celsius or minus four degrees Fahrenheit, with two point four gigahertz and five square meters."},
  });
}

TEST(Normalize, Telephone) {
  check({
      {"Call 555-1234 or (555) 123-4567.",
       "Call five five five, one two three four or five five five, one two three, four five six seven."},
      {"Call +1 555 123 4567.",
       "Call plus one, five five five, one two three, four five six seven."},
  });
}

TEST(Normalize, Roman) {
  check({
      {"Henry VIII and Elizabeth II. In Chapter IV of World War II.",
       "Henry the eighth and Elizabeth the second. In Chapter four of World War two."},
      {"Malcolm X and I. I think the MIX on CD is ok.",
       "Malcolm X and I. I think the MIX on CD is ok."},
  });
}

TEST(Normalize, Addresses) {
  check({
      {"See https://www.example.com/a-b?x=1.",
       "See w w w dot example dot com slash a dash b question mark x equals one."},
      {"Write to a.b@c.com or see example.org/foo.",
       "Write to a dot b at c dot com or see example dot org slash foo."},
  });
}

TEST(Normalize, Emoji) {
  check({
      {"Great \xF0\x9F\x91\x8D job \xF0\x9F\x98\x80! I \xE2\x9D\xA4\xEF\xB8\x8F it \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 ok \xF0\x9F\x87\xA9\xF0\x9F\x87\xAA.",
       "Great thumbs up job grinning face! I heart it ok."},
  });
}

TEST(Normalize, Abbreviations) {
  check({
      {"Dr. Smith and Mr. Jones vs. Mrs. Brown.",
       "Doctor Smith and Mister Jones versus Missus Brown."},
      {"St. Mary lives on Main St. Then we met Prof. X.",
       "Saint Mary lives on Main Street. Then we met Professor X."},
      {"Cats, e.g. this one, etc. He left.",
       "Cats, for example this one, et cetera. He left."},
      {"Read No. 5, p. 3 and vol. 2. No. Never.",
       "Read number five, page three and volume two. No. Never."},
  });
}

TEST(Normalize, Signs) {
  check({
      {"You & me, AT&T, 2 + 2 = 4 and me @ home.",
       "You and me, AT and T, two plus two equals four and me at home."},
      {"See #5 and #hash, 3 \xC3\x97 4, 5 > 3.",
       "See number five and hashtag hash, three times four, five greater than three."},
  });
}

TEST(Normalize, WordsStay) {
  check({
      {"The quick brown fox can't jump; it isn't able to (yet), \"she said\" - well-known.",
       "The quick brown fox can't jump; it isn't able to (yet), \"she said\" - well-known."},
      {"I may march in May. No one is in. Am I? A St and a Mr walk.",
       "I may march in May. No one is in. Am I? A St and a Mr walk."},
      {"C++ and @home and a+b stay.",
       "C++ and @home and a+b stay."},
  });
}

TEST(Normalize, Languages) {
  check({
      {"Das kostet 5 Euro und ist nicht gut.",
       "Das kostet 5 Euro und ist nicht gut."},
      {"Il y a 5 pommes et 3 poires.",
       "Il y a 5 pommes et 3 poires."},
      {"\xC2\xBF" "Cu\xC3\xA1nto cuesta? 5 euros por favor.",
       "\xC2\xBF" "Cu\xC3\xA1nto cuesta? 5 euros por favor."},
      {"\xE4\xBB\x8A\xE5\xA4\xA9\xE6\x98\xAF" "2024\xE5\xB9\xB4" "3\xE6\x9C\x88" "15\xE6\x97\xA5\xE3\x80\x82",
       "\xE4\xBB\x8A\xE5\xA4\xA9\xE6\x98\xAF" "2024\xE5\xB9\xB4" "3\xE6\x9C\x88" "15\xE6\x97\xA5\xE3\x80\x82"},
      {"\xD0\xA6\xD0\xB5\xD0\xBD\xD0\xB0 5 \xD1\x80\xD1\x83\xD0\xB1\xD0\xBB\xD0\xB5\xD0\xB9.",
       "\xD0\xA6\xD0\xB5\xD0\xBD\xD0\xB0 5 \xD1\x80\xD1\x83\xD0\xB1\xD0\xBB\xD0\xB5\xD0\xB9."},
  });
}

TEST(Normalize, ParagraphsOnTheirOwn) {
  EXPECT_EQ(normalize_text("I have 5.\n\nDas sind 5 und nicht 6.\n\n\nAnd 7."), "I have five.\n\nDas sind 5 und nicht 6.\n\n\nAnd seven.");
  EXPECT_EQ(normalize_text(""), "");
}

TEST(Normalize, InvalidUtf8SaysWhere) {
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [] { normalize_text("abc \xFF 5"); }), "at byte 4 (0xFF)"));
}

}  // namespace
}  // namespace csm
