// Long text in pieces: length, breaks, pauses.
#include <csm/text.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "reading_test.h"
#include "text_properties.h"

namespace csm {
namespace {

std::vector<std::string> texts_of(const std::string& text, int max_characters) {
  ChunkOptions options;
  options.max_characters = max_characters;
  std::vector<std::string> texts;
  for (const TextChunk& chunk : split_text(text, options)) texts.push_back(chunk.text);
  return texts;
}

TEST(Chunks, SentencesTogetherUpToTheLength) {
  const std::string text = "One is here. Two is here. Three is a longer sentence than the others.";
  EXPECT_EQ(texts_of(text, 30), (std::vector<std::string>{"One is here. Two is here.", "Three is a longer sentence", "than the others."}));
  EXPECT_EQ(texts_of(text, 1000), std::vector<std::string>{text});
}

TEST(Chunks, ClausesThenWords) {
  EXPECT_EQ(texts_of("A first clause that is long, and a second one that goes on.", 40),
            (std::vector<std::string>{"A first clause that is long,", "and a second one that goes on."}));
  EXPECT_EQ(texts_of("A clause, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", 24),
            (std::vector<std::string>{"A clause,", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"}));
  std::string han;
  for (int i = 0; i < 50; ++i) han += "\xE6\x9D\xB1";
  EXPECT_EQ(texts_of(han, 20).size(), 3u) << "no blanks are needed";
}

TEST(Chunks, PausesByWhatEndsThem) {
  ChunkOptions options;
  options.max_characters = 24;
  const std::vector<TextChunk> chunks = split_text("The first sentence, with a clause. Another one.\n\nA paragraph.", options);
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0].text, "The first sentence,");
  EXPECT_EQ(chunks[0].pause_after_s, options.clause_pause_s);
  EXPECT_EQ(chunks[1].pause_after_s, options.sentence_pause_s);
  EXPECT_FALSE(chunks[1].ends_paragraph);
  EXPECT_EQ(chunks[2].pause_after_s, options.paragraph_pause_s);
  EXPECT_TRUE(chunks[2].ends_paragraph);
}

TEST(Chunks, ParagraphsStayApart) {
  const std::vector<TextChunk> chunks = split_text("One.\nStill one.\n \nTwo.", {});
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].text, "One. Still one.");
  EXPECT_TRUE(chunks[0].ends_paragraph);
}

TEST(Chunks, PauseMarks) {
  const std::vector<TextChunk> chunks = split_text("[pause:1s]Wait.[pause:0.5s][pause:300ms] Go on. [pause:0ms]End", {});
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[0].pause_before_s, 1);
  EXPECT_NEAR(chunks[0].pause_after_s, 0.8, 1e-9);
  EXPECT_EQ(chunks[1].text, "Go on.");
  EXPECT_EQ(chunks[1].pause_after_s, 0);
  EXPECT_EQ(chunks[2].text, "End");
  EXPECT_EQ(split_text("[pause:2s]", {}).size(), 0u);
}

TEST(Chunks, PausesThatCannotBeRead) {
  for (const char* mark : {"[pause:]", "[pause:x]", "[pause:1]", "[pause:-1s]", "[pause:61s]", "[pause:nans]", "[pause:1s", "[pause:1 s]", "[pause:infs]"}) {
    const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { split_text(std::string("a\nb ") + mark, {}); });
    EXPECT_TRUE(contains(message, "line 2")) << message;
  }
}

TEST(Chunks, OptionsAreChecked) {
  ChunkOptions options;
  options.max_characters = 19;
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { split_text("a", options); }), "max_characters"));
  options = {};
  options.paragraph_pause_s = std::nan("");
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { split_text("a", options); }), "paragraph_pause_s"));
}

TEST(Chunks, TheseVeryPages) {
  for (const char* page : {"/README.md", "/docs/usage.md", "/docs/security.md"}) {
    std::ifstream file(std::string(CSM_MODELS_DIR) + "/.." + page);
    std::ostringstream text;
    text << file.rdbuf();
    ASSERT_GT(text.str().size(), 2000u) << page;
    EXPECT_EQ(broken_property(text.str()), "") << page;
  }
}

}  // namespace
}  // namespace csm
