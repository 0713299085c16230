// The command line itself: help, suggestions, exit codes.
#include "program.h"

namespace csm::e2e {
namespace {

class Usage : public ProgramTest {};

TEST_F(Usage, HelpTellsANewcomerWhatToTypeFirst) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.err.empty());
  for (const char* part : {"csm speak \"Good morning.\" -o morning.wav", "speak", "codec", "trace", "tokenize",
                           "inspect", "doctor", "Exit codes"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
  }
}

TEST_F(Usage, EveryCommandHasHelpWithExamplesAndDefaults) {
  for (const Arguments& command : {Arguments{"speak"},
                                   {"codec"},
                                   {"codec", "encode"},
                                   {"codec", "decode"},
                                   {"trace"},
                                   {"tokenize"},
                                   {"inspect"},
                                   {"doctor"}}) {
    Arguments arguments = command;
    arguments.push_back("--help");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("Examples:\n  csm "), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("\n  csm " + command.front() + (command.front() == "doctor" ? "" : " ")),
              std::string::npos)
        << outcome.out;
    EXPECT_EQ(outcome.out.find("\n\n\n"), std::string::npos);
  }
  const std::string speak = run({"speak", "--help"}).out;
  for (const char* part :
       {"(default: auto)", "(default: f32)", "Sampling", "Output:", "Model and machine:", "--threads N"}) {
    EXPECT_NE(speak.find(part), std::string::npos) << part;
  }
}

TEST_F(Usage, Version) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out.substr(0, 4), "csm ");
}

TEST_F(Usage, UnknownFlagsAndCommandsSuggestTheNearest) {
  EXPECT_TRUE(
      fails_with(run({"speak", "x", "-o", path("a.wav"), "--tempature", "1"}), 2, "did you mean '--temperature'?"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "-o", path("a.wav"), "--sped=3"}), 2, "did you mean '--seed'?"));
  EXPECT_TRUE(fails_with(run({"trace", "--promt", "x"}), 2, "did you mean '--prompt'?"));
  EXPECT_TRUE(fails_with(run({"speek", "x"}), 2, "did you mean 'speak'?"));
  EXPECT_TRUE(fails_with(run({"codec", "encdoe", "x"}), 2, "did you mean 'encode'?"));
  EXPECT_TRUE(fails_with(run({"inspect", "--xyzzy-plugh"}), 2, "unknown flag '--xyzzy-plugh' (see"));
  EXPECT_TRUE(fails_with(run({"--verson"}), 2, "did you mean '--version'?"));
}

TEST_F(Usage, WhatIsMissingOrTooMuch) {
  EXPECT_TRUE(fails_with(run({}), 2, "speak"));
  EXPECT_TRUE(fails_with(run({"codec"}), 2, "encode"));
  EXPECT_TRUE(fails_with(run({"speak", "two", "words", "-o", path("a.wav")}), 2, "quotes"));
  EXPECT_TRUE(fails_with(run({"speak", "x"}), 2, "-o FILE.wav"));
  EXPECT_TRUE(fails_with(run({"speak", "-o", path("a.wav")}), 2, "--text-file"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "--text-file", "y", "-o", path("a.wav")}), 2, "give one of"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "-o", "-", "--json"}), 2, "standard output"));
  EXPECT_TRUE(fails_with(run({"speak", "x", "-o"}), 2, "-o"));
  EXPECT_TRUE(fails_with(run({"trace"}), 2, "--prompt"));
  EXPECT_TRUE(fails_with(run({"codec", "encode", "a.wav"}), 2, "--output"));
  EXPECT_TRUE(fails_with(run({"codec", "encode", "a.wav", "-o", "-"}), 2, "file"));
}

TEST_F(Usage, ValuesOutOfRange) {
  const auto refused = [&](const std::string& flag, const std::string& value, const std::string& part) {
    EXPECT_TRUE(fails_with(run({"speak", "x", "-o", path("a.wav"), flag, value}), 2, part)) << flag << " " << value;
  };
  refused("--seed", "-1", "--seed");
  refused("--seed", "99999999999999999999", "--seed");
  refused("--speaker", "-1", "--speaker");
  refused("--threads", "-1", "--threads");
  refused("--threads", "two", "--threads");
  refused("--temperature", "-0.5", "temperature");
  refused("--temperature", "nan", "temperature");
  refused("--depth-top-p", "1.5", "--depth-top-p: expected a number from 0.0001 to 1, found '1.5'");
  refused("--top-k", "-1", "--top-k: expected a whole number from 0 to 2147483647, found '-1'");
  refused("--min-p", "1", "--min-p: expected a number from 0 to below 1, found '1'");
  refused("--max-seconds", "0", "--max-seconds");
  refused("--max-seconds", "soon", "--max-seconds");
  refused("--min-frames", "-2", "--min-frames");
  refused("--dtype", "f8", "f8");
  refused("--quantize", "q3", "q3");
  refused("--kv-type", "q4", "q4");
  refused("--codec-dtype", "q8_0", "q8_0");
  EXPECT_TRUE(fails_with(run({"speak", "x", "-o", path("a.wav"), "--greedy", "--temperature", "1"}), 2, "exclude"));
  EXPECT_TRUE(files().empty());
}

TEST_F(Usage, ContextFlagsMustMatchUp) {
  const Arguments base = {"speak", "x", "-o", path("a.wav")};
  const auto refused = [&](Arguments more, const std::string& part) {
    more.insert(more.begin(), base.begin(), base.end());
    EXPECT_TRUE(fails_with(run(more), 2, part));
  };
  refused({"--context-text", "a"}, "1 and 0");
  refused({"--context-audio", "a.wav"}, "0 and 1");
  refused({"--context-text", "a", "--context-audio", "a.wav", "--context-speaker", "0", "--context-speaker", "1"},
          "--context-speaker");
  refused({"--context-text", "a", "--context-audio", "a.wav", "--context", "c.json"}, "either");
}

TEST_F(Usage, TextsThatLookLikeFlagsOrLists) {
  const Outcome minus = run({"tokenize", "--json", "--model", demo_model(), "--", "-5 degrees"});
  EXPECT_EQ(minus.code, 0) << minus.err;
  const Outcome list = run({"tokenize", "[x, y]", "--json", "--model", demo_model()});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_EQ(list.json().at("tokens").at(0), "[");
  EXPECT_EQ(run({"tokenize", "speak", "--json", "--model", demo_model()}).code, 0);
}

}  // namespace
}  // namespace csm::e2e
