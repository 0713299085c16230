// csm chat from a pipe, saved conversations, and what the context flags do.
#include <csignal>

#include "program.h"

namespace csm::e2e {
namespace {

class Chat : public ProgramTest {
 protected:
  Outcome chat(const std::string& input, Arguments more = {}) const {
    Arguments arguments = {"chat", "--model", demo_model(), "--threads", "1", "--max-seconds", "1", "--seed", "7", "-o", path("talk")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Surroundings surroundings;
    surroundings.input = input;
    return run(arguments, surroundings);
  }
  Outcome speak(const std::string& text, Arguments more) const {
    Arguments arguments = {"speak", text, "--model", demo_model(), "--threads", "1", "--max-seconds", "1", "--seed", "7"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(Chat, SaysEachLineIntoAFileOfItsOwn) {
  const Outcome outcome = chat("Good morning.\n/speaker 1\n\nHow are you?\n/turns\n/undo\nI agree.\n/quit\nnever\n", {"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<nlohmann::json> turns;
  for (size_t begin = 0; begin < outcome.out.size();) {
    const size_t end = outcome.out.find('\n', begin);
    turns.push_back(nlohmann::json::parse(outcome.out.substr(begin, end - begin)));
    begin = end + 1;
  }
  ASSERT_EQ(turns.size(), 3U) << outcome.out;
  EXPECT_EQ(turns[0].at("speaker"), 0);
  EXPECT_EQ(turns[1].at("speaker"), 1);
  EXPECT_EQ(turns[1].at("text"), "How are you?");
  EXPECT_GT(turns[1].at("reused_positions"), 0);
  EXPECT_EQ(turns[2].at("turn"), 2) << "one was taken back";
  EXPECT_EQ(turns[2].at("file"), path("talk") + "/003.wav") << "no file is overwritten";
  for (const char* file : {"talk/001.wav", "talk/002.wav", "talk/003.wav"}) {
    EXPECT_EQ(read_file(path(file)).substr(0, 4), "RIFF") << file;
  }
  EXPECT_NE(outcome.err.find("   2 [1] How are you?"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("took back: How are you?"), std::string::npos);
}

TEST_F(Chat, GoesOnAfterALineThatFails) {
  const Outcome outcome = chat("/speker 1\n/speaker x\n/voice\n/load nowhere.json\n/save\nx\xFF\nYes.\n//slash\n");
  EXPECT_EQ(outcome.code, 1);
  for (const char* part : {"did you mean /speaker?", "found 'x'", "write /voice NAME", "nowhere.json", "/save FILE", "not valid UTF-8"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " in " << outcome.err;
  }
  EXPECT_EQ(files().size(), 1U);
  EXPECT_FALSE(read_file(path("talk/002.wav")).empty());
}

TEST_F(Chat, SavedConversationsGoOn) {
  write_clip("three_s");
  const Outcome first = chat("/voice " + path("three_s.wav") + " One two three.\nGood morning.\n", {"--save-conversation", path("a.json")});
  ASSERT_EQ(first.code, 0) << first.err;
  const auto saved = nlohmann::json::parse(read_file(path("a.json")));
  EXPECT_EQ(saved.at("turns").size(), 2U);
  EXPECT_EQ(saved.at("turns")[0].at("pinned"), true);
  const Outcome more = chat("/turns\n/report It is late.\n/save " + path("b.json") + "\n", {"--conversation", path("a.json")});
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(more.err.find("(voice) One two three."), std::string::npos) << more.err;
  EXPECT_NE(more.err.find("strategy hybrid, window of 2048 positions"), std::string::npos) << more.err;
  EXPECT_EQ(read_file(path("a.json")), read_file(path("b.json")));
}

TEST_F(Chat, CtrlCStopsTheSpeechAndTheChatGoesOn) {
  Surroundings surroundings;
  surroundings.input = "Yes.\nIt is a long way to the sea, and the road goes over the hills and through the woods.\nNo.\n";
  Running chatting({"chat", "--model", demo_model(), "--threads", "1", "--min-frames", "60", "--guard", "off", "--seed", "7", "--json", "-o", path("talk")},
                   surroundings);
  chatting.read_some_output();  // the first line was said; the second one takes a while
  chatting.signal(SIGINT);
  const Outcome outcome = chatting.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("not said and not kept: cancelled"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("\"turn\":2,\"speaker\":0,\"text\":\"No.\""), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("long way"), std::string::npos);
}

TEST_F(Chat, VoicesTakeEachOthersPlace) {
  const Outcome outcome = chat("/voice female\n/turns\n/voice nobody\n/save " + path("a.json") + "\n", {"--voice", "male"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("there is no voice 'nobody'"), std::string::npos) << outcome.err;
  const auto with = [&](const std::string& voice) {
    const Outcome again = chat("/save " + path("b.json") + "\n", {"--conversation", path("a.json"), "--voice", voice, "--speaker", "1"});
    EXPECT_EQ(again.code, 0) << again.err;
    return nlohmann::json::parse(read_file(path("b.json"))).at("turns");
  };
  const auto turns = nlohmann::json::parse(read_file(path("a.json"))).at("turns");
  ASSERT_EQ(turns.size(), 1U) << "one voice, not two";
  EXPECT_EQ(turns[0].at("pinned"), true);
  EXPECT_EQ(with("female"), turns) << "it is there already";
  ASSERT_EQ(with("male").size(), 1U);
  EXPECT_NE(with("male")[0].at("codes"), turns[0].at("codes"));
}

TEST_F(Chat, RefusesWhatItCannotDo) {
  EXPECT_TRUE(fails_with(run({"chat"}), 2, "-o DIR"));
  EXPECT_TRUE(fails_with(chat("", {"--context-strategy", "newest"}), 2, "none, recency, importance, hybrid"));
  EXPECT_TRUE(fails_with(chat("", {"--context-strategy", "none", "--context-compress", "head"}), 2, "context-strategy is none"));
  EXPECT_TRUE(fails_with(chat("", {"--conversation", path("no.json")}), 1, "no.json"));
  EXPECT_TRUE(fails_with(chat("", {"--conversation", write_file("x.json", "[]")}), 1, "no saved conversation"));
  EXPECT_TRUE(fails_with(chat("", {"--memory-limit", "2X"}), 2, "expected a size"));
}

TEST_F(Chat, SpeakGoesOnWithAConversation) {
  const Outcome one = speak("Good morning.", {"-o", path("1.wav"), "--save-conversation", path("talk.json"), "--json"});
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome two = speak("How are you?", {"-o", path("2.wav"), "--speaker", "1", "--conversation", path("talk.json"),
                                             "--save-conversation", path("talk.json"), "--context-report", "--json"});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_GT(two.json().at("prompt_positions"), one.json().at("prompt_positions"));
  const nlohmann::json report = two.json().at("context");
  EXPECT_EQ(report.at("strategy"), "hybrid");
  EXPECT_EQ(report.at("turns").size(), 1U);
  EXPECT_EQ(report.at("turns")[0].at("kept"), "whole");
  EXPECT_NE(two.err.find("strategy hybrid"), std::string::npos) << two.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(path("talk.json"))).at("turns").size(), 2U);
}

TEST_F(Chat, StrategiesMakeRoom) {
  ASSERT_EQ(chat("One.\nTwo.\nThree.\nFour.\nFive.\n", {"--save-conversation", path("a.json")}).code, 0);
  const auto with = [&](Arguments more) {
    more.insert(more.end(), {"-o", path("x.wav"), "--conversation", path("a.json"), "--context-window", "90", "--context-report", "--json"});
    return speak("Six.", more);
  };
  const Outcome none = with({"--context-strategy", "none"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("csm: error: the prompt takes"), std::string::npos) << none.err;
  for (const char* strategy : {"recency", "importance", "hybrid"}) {
    const Outcome outcome = with({"--context-strategy", strategy});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const nlohmann::json report = outcome.json().at("context");
    EXPECT_EQ(report.at("strategy"), strategy);
    EXPECT_EQ(report.at("turns")[0].at("kept"), strategy == std::string("importance") ? report.at("turns")[0].at("kept") : "dropped");
    EXPECT_LE(int{report.at("text_positions")} + int{report.at("context_positions")} + int{report.at("reserved_frames")}, 90);
  }
  const Outcome compressed = with({"--context-strategy", "recency", "--context-compress", "text"});
  ASSERT_EQ(compressed.code, 0) << compressed.err;
  EXPECT_EQ(compressed.json().at("context").at("turns")[0].at("kept"), "compressed");
}

TEST_F(Chat, LimitsOfMemoryAndTimeHold) {
  EXPECT_TRUE(fails_with(speak("Yes.", {"-o", path("x.wav"), "--memory-limit", "20M"}), 1, "needs at least"));
  const Outcome limited = speak("Yes.", {"-o", path("x.wav"), "--memory-limit", "150M", "--json"});
  ASSERT_EQ(limited.code, 0) << limited.err;
  EXPECT_NE(limited.err.find("memory limit 150.0 MB"), std::string::npos) << limited.err;
  const Outcome late = speak("It is a long way to the sea.", {"-o", path("y.wav"), "--deadline", "0.000001"});
  EXPECT_TRUE(fails_with(late, 1, "deadline"));
}

}  // namespace
}  // namespace csm::e2e
