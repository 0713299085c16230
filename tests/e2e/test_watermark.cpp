// csm watermark and the marking of csm speak, as a user sees them.
#include <csm/audio.h>
#include <csm/watermark.h>
#include <sys/stat.h>

#include "program.h"
#include "watermark/watermark_test.h"

namespace csm::e2e {
namespace {

class Watermark : public ProgramTest {
 protected:
  std::string write_speech(const std::string& name, double seconds = 4) const {
    write_audio(path(name), speech_like(seconds, 1), SampleFormat::kInt16);
    return path(name);
  }
};

TEST_F(Watermark, AddDetectRead) {
  const std::string from = write_speech("a.wav"), to = path("b.flac");
  EXPECT_EQ(run({"watermark", "detect", from}).code, 1);
  const Outcome added = run({"watermark", "add", from, "-o", to, "--watermark-payload", "0xBEEF", "--json"});
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(added.json().at("watermark").at("payload"), "0000BEEF");
  const Outcome read = run({"watermark", "read", to, "--json"});
  ASSERT_EQ(read.code, 0) << read.out;
  const nlohmann::json file = read.json().at("files").at(0), key = file.at("keys").at(0);
  EXPECT_EQ(file.at("file"), to);
  EXPECT_EQ(file.at("found"), true);
  EXPECT_EQ(key.at("key"), "public");
  EXPECT_EQ(key.at("payload"), "0000BEEF");
  EXPECT_EQ(key.at("payload_was_read"), true);
  EXPECT_LT(key.at("false_positive_probability").get<double>(), 1e-6);
  EXPECT_EQ(key.at("regions").size(), 1u);
  const Outcome detected = run({"watermark", "detect", to, from, "--payload", "beef"});
  EXPECT_EQ(detected.code, 1) << "one of the two is not marked";
  EXPECT_NE(detected.err.find("marked, payload 0000BEEF, z "), std::string::npos) << detected.err;
  EXPECT_NE(detected.err.find("no mark found"), std::string::npos) << detected.err;
  EXPECT_TRUE(detected.out.empty());
}

TEST_F(Watermark, SecretKeysComeFromFilesAndTheEnvironment) {
  const std::string from = write_speech("a.wav"), key = path("my.key"), to = path("b.wav");
  ASSERT_EQ(run({"watermark", "key", "--new", key}).code, 0);
  struct stat status {};
  ASSERT_EQ(::stat(key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_TRUE(fails_with(run({"watermark", "key", "--new", key}), 1, "my.key")) << "never overwritten";
  ASSERT_EQ(run({"watermark", "add", from, "-o", to, "--watermark-key", key}).code, 0);
  EXPECT_EQ(run({"watermark", "detect", to}).code, 1) << "the public key does not find it";
  const Outcome found = run({"watermark", "detect", to, "--key", key, "--json"});
  EXPECT_EQ(found.code, 0) << found.out;
  EXPECT_EQ(found.json().at("files").at(0).at("keys").at(1).at("key"), "my.key");

  const std::string text = read_file(key), digits = text.substr(text.find('\n') + 1, 64);
  Surroundings secret;
  secret.environment = {"CSM_WATERMARK_KEY_HEX=" + digits};
  EXPECT_EQ(run({"watermark", "detect", to}, secret).code, 0);
  secret.environment = {"CSM_WATERMARK_KEY_HEX=" + digits.substr(1)};
  const Outcome bad = run({"watermark", "detect", to}, secret);
  EXPECT_TRUE(fails_with(bad, 1, "64 hexadecimal digits"));
  EXPECT_EQ(bad.err.find(digits.substr(8, 8)), std::string::npos) << "the message quotes the key";
}

TEST_F(Watermark, SpeechIsMarkedUnlessToldOtherwise) {
  const Arguments speak = {"speak", "Nobody knows why the old clock in the hall has stopped again.", "--model", demo_model(),
                           "--threads", "1", "--seed", "1", "--min-frames", "38", "--max-seconds", "4", "--json"};
  const auto with = [&](const Arguments& more) {
    Arguments arguments = speak;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const Outcome marked = with({"-o", path("a.wav"), "--watermark-preset", "strong", "--watermark-payload", "77"});
  ASSERT_EQ(marked.code, 0) << marked.err;
  EXPECT_EQ(marked.json().at("watermark").at("payload"), "00000077");
  EXPECT_EQ(marked.json().at("watermark").at("preset"), "strong");
  const Outcome plain = with({"-o", path("b.wav"), "--no-watermark"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_TRUE(plain.json().at("watermark").is_null());
  EXPECT_EQ(run({"watermark", "detect", path("a.wav"), "--payload", "77"}).code, 0);
  EXPECT_EQ(run({"watermark", "detect", path("b.wav")}).code, 1);
  EXPECT_EQ(read_audio(path("a.wav")).samples.size(), read_audio(path("b.wav")).samples.size());
}

TEST_F(Watermark, BadRequestsAreOneLine) {
  const std::string from = write_speech("a.wav", 0.5);
  EXPECT_TRUE(fails_with(run({"watermark", "detect", path("none.wav")}), 1, "none.wav"));
  EXPECT_TRUE(fails_with(run({"watermark", "add", from, "-o", path("b.wav"), "--watermark-payload", "xyz"}), 2, "xyz"));
  EXPECT_TRUE(fails_with(run({"watermark", "add", from, "-o", path("b.wav"), "--watermark-preset", "loud"}), 2, "loud"));
  EXPECT_TRUE(fails_with(run({"watermark", "detect", from, "--payload", "123456789"}), 2, "123456789"));
  EXPECT_TRUE(fails_with(run({"watermark", "detect", from, "--key", from}), 1, "hexadecimal"));
  EXPECT_TRUE(fails_with(run({"watermark", "add", from, "-o", path("no/b.wav")}), 1));
  EXPECT_EQ(run({"watermark"}).code, 2);
}

}  // namespace
}  // namespace csm::e2e
