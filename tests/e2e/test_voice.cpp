// csm voice, and speaking with one: as a user would, with a data folder of the test's own.
#include <csm/audio.h>

#include "program.h"

namespace csm::e2e {
namespace {

class VoiceCommand : public ProgramTest {
 protected:
  Outcome csm(const Arguments& arguments) const {
    Surroundings surroundings;
    surroundings.environment = {"XDG_DATA_HOME=" + path("data")};
    return run(arguments, surroundings);
  }
  // A voice of the bundled model's own speech.
  void add_anna() const {
    ASSERT_EQ(csm({"speak", "Good morning, how are you?", "--seed", "3", "-o", path("anna.wav"), "-q"}).code, 0);
    const Outcome added = csm({"voice", "add", "anna", path("anna.wav"), "--text", "Good morning, how are you?",
                               "--license", "CC0", "--model", demo_model()});
    ASSERT_EQ(added.code, 0) << added.err;
  }
};

TEST_F(VoiceCommand, AddListShowSpeakRemove) {
  add_anna();
  const nlohmann::json list = csm({"voice", "list", "--json"}).json();
  EXPECT_EQ(list.at("directory"), path("data/csm/voices"));
  int n_bundled = 0;
  for (const nlohmann::json& voice : list.at("voices")) n_bundled += voice.at("bundled").get<bool>() ? 1 : 0;
  EXPECT_GE(n_bundled, 2);
  const nlohmann::json anna = csm({"voice", "show", "anna", "--json"}).json();
  EXPECT_EQ(anna.at("license"), "CC0");
  EXPECT_EQ(anna.at("clips").at(0).at("text"), "Good morning, how are you?");
  const Outcome spoken = csm({"speak", "Thank you.", "--voice", "anna", "--seed", "1", "-o", path("t.wav"), "--json"});
  ASSERT_EQ(spoken.code, 0) << spoken.err;
  const Outcome plain = csm({"speak", "Thank you.", "--seed", "1", "-o", path("p.wav"), "--json"});
  EXPECT_GT(spoken.json().at("prompt_positions").get<int>(), plain.json().at("prompt_positions").get<int>() + 10)
      << "its clip comes first";
  EXPECT_EQ(csm({"voice", "rm", "anna"}).code, 0);
  EXPECT_TRUE(fails_with(csm({"speak", "Thank you.", "--voice", "anna", "-o", path("t.wav")}), 1, "no voice 'anna'"));
}

TEST_F(VoiceCommand, ExportAndImport) {
  add_anna();
  ASSERT_EQ(csm({"voice", "export", "anna", "-o", path("a.csmvoice")}).code, 0);
  EXPECT_TRUE(fails_with(csm({"voice", "export", "anna", "-o", path("a.csmvoice")}), 2, "exists"));
  EXPECT_TRUE(fails_with(csm({"voice", "import", path("a.csmvoice")}), 1, "anna"));
  ASSERT_EQ(csm({"voice", "import", path("a.csmvoice"), "--name", "bella"}).code, 0);
  EXPECT_EQ(csm({"voice", "show", "bella", "--json"}).json().at("license"), "CC0");
  const Outcome by_file = csm({"speak", "Yes.", "--voice", path("a.csmvoice"), "-o", path("y.wav"), "-q"});
  EXPECT_EQ(by_file.code, 0) << by_file.err;
  write_file("bad.csmvoice", "{\"format\": \"csm-voice\"}");
  EXPECT_TRUE(fails_with(csm({"voice", "import", path("bad.csmvoice")}), 1, "version"));
}

TEST_F(VoiceCommand, BadClipsAndNamesAreRefused) {
  const std::string clip = path("clip.wav");
  write_audio(clip, Audio{std::vector<float>(24'000, 0.1f), 24'000}, SampleFormat::kInt16);
  EXPECT_TRUE(fails_with(csm({"voice", "add", "../x", clip, "--text", "Hello."}), 2, "cannot be named"));
  EXPECT_TRUE(fails_with(csm({"voice", "add", "x", clip, "--text", "Hello.", "--text", "More."}), 2, "its --text"));
  EXPECT_TRUE(fails_with(csm({"voice", "add", "x", path("none.wav"), "--text", "Hello."}), 1, "none.wav"));
  write_audio(path("silent.wav"), Audio{std::vector<float>(48'000), 24'000}, SampleFormat::kInt16);
  EXPECT_TRUE(fails_with(csm({"voice", "add", "x", path("silent.wav"), "--text", "Hello."}), 1, "silent"));
  EXPECT_TRUE(fails_with(csm({"voice", "rm", "female"}), 1, "comes with csm"));
}

TEST_F(VoiceCommand, TheBundledOnesAreFoundWithoutSetup) {
  for (const char* name : {"female", "male"}) {
    const Outcome outcome =
        csm({"speak", "Good morning.", "--voice", name, "--seed", "2", "-o", path("a.wav"), "--json", "-q"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.json().at("finish_reason"), "end");
    EXPECT_TRUE(outcome.err.empty()) << outcome.err;
  }
}

TEST_F(VoiceCommand, ANumberAloneIsWarnedOfOnOtherModels) {
  const Arguments other = {"speak", "Hi.", "--speaker",   "1",  "--max-seconds",
                           "0.2",   "-o",  path("a.wav"), "-q", "--model"};
  Arguments on_nano = other;
  on_nano.push_back(data("ckpt/nano"));
  const Outcome warned = csm(on_nano);
  EXPECT_NE(warned.err.find("does not fix the voice"), std::string::npos) << warned.err;
  Arguments on_demo = other;
  on_demo.push_back(demo_model());
  EXPECT_TRUE(csm(on_demo).err.empty());
}

class GuardedSpeech : public ProgramTest {};

TEST_F(GuardedSpeech, EndlessSpeechIsTriedAgainAndStops) {
  const Arguments endless = {"speak",       "Good morning.", "--seed",          "5", "--stop-bias", "-1000",     "-o",
                             path("a.wav"), "--json",        "--guard-retries", "1", "--model",     demo_model()};
  const Outcome outcome = run(endless);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json result = outcome.json();
  EXPECT_NE(result.at("finish_reason"), "end");
  EXPECT_EQ(result.at("attempts"), 2);
  EXPECT_EQ(result.at("found").size(), 2u);
  EXPECT_LT(result.at("seconds").get<double>(), 2 * result.at("expected_seconds").get<double>() + 2.6);
  EXPECT_NEAR(read_audio(path("a.wav")).seconds(), result.at("seconds").get<double>(), 1e-6);
  Arguments failing = endless;
  failing.insert(failing.end(), {"--guard", "fail"});
  EXPECT_TRUE(fails_with(run(failing), 1, "ran away"));
}

TEST_F(GuardedSpeech, APipeGetsWhatAFileGets) {
  const auto spoken = [&](const std::string& output) {
    return run({"speak", "Good morning.", "--seed", "5", "--stop-bias", "-1000", "--guard", "stop", "--trim-lead",
                "0.05", "--trim-trail", "0.1", "-q", "--model", demo_model(), "-o", output});
  };
  ASSERT_EQ(spoken(path("a.wav")).code, 0);
  const Outcome piped = spoken("-");
  ASSERT_EQ(piped.code, 0) << piped.err;
  const std::string file = read_file(path("a.wav"));
  EXPECT_TRUE(piped.out.substr(44) == file.substr(44)) << "the same samples behind headers of their own";
}

}  // namespace
}  // namespace csm::e2e
