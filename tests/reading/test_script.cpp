// Scripts of several speakers, in both forms.
#include <csm/text.h>

#include "reading_test.h"

namespace csm {
namespace {

std::string refused(const std::string& text) {
  const std::string message = message_of(ErrorCode::kInvalidData, [&] { parse_script(text, "play.txt"); });
  EXPECT_EQ(message.rfind("'play.txt'", 0), 0u) << message;
  return message;
}

TEST(Script, NamesAndTurns) {
  const Script script = parse_script("# A play\n\nAnna: Hello there.\n  And more.\n\nAgain.\nB: At 10:30 we left: all of us.\nhttp://x.y: no name\nAnna: Bye.\r\n", "p");
  EXPECT_EQ(script.speakers, (std::vector<std::string>{"Anna", "B"}));
  ASSERT_EQ(script.lines.size(), 3u);
  EXPECT_EQ(script.lines[0].text, "Hello there.\nAnd more.\n\nAgain.");
  EXPECT_EQ(script.lines[0].line, 3);
  EXPECT_EQ(script.lines[1].speaker, 1);
  EXPECT_EQ(script.lines[1].text, "At 10:30 we left: all of us.\nhttp://x.y: no name");
  EXPECT_EQ(script.lines[2].text, "Bye.");
  EXPECT_EQ(script.lines[2].speaker, 0);
  EXPECT_EQ(script.lines[2].line, 9);
}

TEST(Script, TextOnTheNextLine) {
  const Script script = parse_script("Mr Brown:\nHello.\nDr. X: is no name, since it holds a full stop.", "p");
  ASSERT_EQ(script.lines.size(), 1u);
  EXPECT_EQ(script.speakers[0], "Mr Brown");
  EXPECT_TRUE(contains(script.lines[0].text, "Dr. X"));
}

TEST(Script, JsonLines) {
  const Script script = parse_script("# comment\n{\"speaker\": \"Anna\", \"text\": \"Hello.\", \"voice\": \"anna\"}\n\n{\"speaker\": 1, \"text\": \"Hi.\"}\n{\"text\": \"Who?\"}\n", "p");
  EXPECT_EQ(script.speakers, (std::vector<std::string>{"Anna", "1", "0"}));
  ASSERT_EQ(script.lines.size(), 3u);
  EXPECT_EQ(script.lines[0].voice, "anna");
  EXPECT_EQ(script.lines[1].voice, "");
  EXPECT_EQ(script.lines[1].line, 4);
}

TEST(Script, ErrorsNameTheLine) {
  EXPECT_TRUE(contains(refused("\nHello."), "line 2"));
  EXPECT_TRUE(contains(refused("A: one\nB:\nC: three"), "line 2"));
  EXPECT_TRUE(contains(refused("{\"text\": \"a\"}\nB: plain"), "line '2"));
  EXPECT_TRUE(contains(refused("{\"text\": \"a\"}\n{\"txt\": \"b\", \"text\": \"c\"}"), "line 2: unknown field \"txt\""));
  EXPECT_TRUE(contains(refused("{\"text\": \" \"}"), "line 1"));
  EXPECT_TRUE(contains(refused("{\"speaker\": 1.5, \"text\": \"a\"}"), "speaker"));
  EXPECT_TRUE(contains(refused("{\"speaker\": -1, \"text\": \"a\"}"), "speaker"));
  EXPECT_TRUE(contains(refused("{\"speaker\": \"\", \"text\": \"a\"}"), "speaker"));
  EXPECT_TRUE(contains(refused("{\"speaker\": \"a\"}"), "text"));
  EXPECT_TRUE(contains(refused(""), "says nothing"));
  EXPECT_TRUE(contains(refused("# only a comment\n"), "says nothing"));
  EXPECT_TRUE(contains(refused("A: \xFF"), "at byte 3"));
  std::string crowd;
  for (int i = 0; i < 1100; ++i) crowd += "N" + std::to_string(i) + ": x\n";
  EXPECT_TRUE(contains(refused(crowd), "line 1001"));
}

}  // namespace
}  // namespace csm
