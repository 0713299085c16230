// SilentCipher's mark as a user of the program has it, with small random weights in the original's files.
#include <csm/audio.h>
#include <csm/silentcipher.h>

#include <filesystem>

#include "io/pytorch_files.h"
#include "program.h"
#include "watermark/silentcipher_reference.h"

namespace csm::e2e {
namespace {

class SilentCipherProgram : public ProgramTest {
 protected:
  SilentCipherProgram() {
    const test::SmallCheckpoints small;
    std::filesystem::create_directories(path("weights"));
    write_file("weights/enc_c.ckpt", test::archive_of(small.encoder.tensors()));
    write_file("weights/dec_c.ckpt", test::archive_of(small.carrier_decoder.tensors()));
    write_file("weights/dec_m_0.ckpt", test::archive_of(small.message_decoder.tensors()));
  }

  Arguments with_weights(Arguments arguments) const {
    arguments.insert(arguments.end(), {"--silentcipher-weights", path("weights")});
    return arguments;
  }
  Arguments speak(const std::string& kind, const std::string& output) const {
    return with_weights({"speak", "Hello.", "--seed", "3", "--max-seconds", "1.5", "--threads", "1", "--float", "--json", "--watermark", kind, "-o", output});
  }
};

TEST_F(SilentCipherProgram, SpeaksWithBothMarks) {
  const Outcome plain = run(speak("none", path("plain.wav")));
  ASSERT_EQ(plain.code, 0) << plain.err;
  const Outcome cipher = run(speak("silentcipher", path("cipher.wav")));
  ASSERT_EQ(cipher.code, 0) << cipher.err;
  EXPECT_EQ(cipher.json().at("silentcipher"), "D4D39238C9");
  EXPECT_TRUE(cipher.json().at("watermark").is_null());
  const Outcome both = run(speak("both", path("both.wav")));
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_FALSE(both.json().at("watermark").is_null());
  // Exactly what the library makes of the unmarked speech, then csm's own mark on it.
  const Audio unmarked = read_audio(path("plain.wav"));
  const Audio expected = SilentCipher::open(path("weights"))->embed(unmarked);
  EXPECT_EQ(read_audio(path("cipher.wav")).samples, expected.samples);
  EXPECT_NE(read_audio(path("both.wav")).samples, expected.samples);
  EXPECT_EQ(read_audio(path("both.wav")).samples.size(), expected.samples.size());
}

TEST_F(SilentCipherProgram, FilesOfItsOwn) {
  const std::string clip = write_clip("mid");
  const Outcome added = run(with_weights({"watermark", "add", clip, "-o", path("out.wav"), "--silentcipher", "--silentcipher-message", "0102030405", "--json"}));
  ASSERT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(added.json().at("silentcipher"), "0102030405");
  const Outcome detected = run(with_weights({"watermark", "detect", path("out.wav"), "--silentcipher", "--json"}));
  EXPECT_EQ(detected.code, 1) << "random weights find nothing";
  EXPECT_EQ(detected.json().at("files").at(0).at("silentcipher").at("message"), "D4D39238C9");
  const Outcome read = run(with_weights({"watermark", "read", path("out.wav"), "--silentcipher"}));
  EXPECT_TRUE(read.out.empty());
  EXPECT_NE(read.err.find("SilentCipher"), std::string::npos) << read.err;
}

TEST_F(SilentCipherProgram, WrongWeightsAndMessages) {
  const std::string clip = write_clip("mid");
  EXPECT_TRUE(fails_with(run({"watermark", "detect", clip, "--silentcipher", "--silentcipher-weights", path("")}), 1, "enc_c.ckpt"));
  EXPECT_EQ(run(with_weights({"speak", "Hello.", "-o", path("a.wav"), "--silentcipher-message", "12"})).code, 2);
}

}  // namespace
}  // namespace csm::e2e
