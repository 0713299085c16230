// Voices: made of sound, kept in files, found by name, given as context; and bad recordings and files refused.
#include <csm/voice.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/engine_test.h"
#include "voice/voice_file.h"

namespace csm::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kText = "Good morning, how are you today?";

// The bundled model's own speech, as a recording of it.
Audio recording(Engine& engine) {
  SpeechRequest request = greedy_request(kText);
  return engine.synthesize(request, {}).audio;
}

Voice voice_of(Engine& engine, const std::string& name) {
  Voice voice;
  voice.name = name;
  voice.speaker = 1;
  voice.license = "CC0";
  voice.codec = codec_identity(engine);
  voice.clips = {make_clip(engine, recording(engine), kText)};
  return voice;
}

class Voices : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(home_);
    ::setenv("XDG_DATA_HOME", home_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(home_); }
  std::string path(const std::string& name) const { return (home_ / name).string(); }

  fs::path home_ = fs::temp_directory_path() / ("csm_voices_" + std::to_string(::getpid()));
  std::shared_ptr<Engine> engine_ = open_demo();
};

TEST_F(Voices, ComeBackFromTheirFile) {
  const Voice voice = voice_of(*engine_, "anna");
  write_voice(path("a.csmvoice"), voice);
  const Voice read = read_voice(path("a.csmvoice"));
  EXPECT_EQ(read.name, "anna");
  EXPECT_EQ(read.speaker, 1);
  EXPECT_EQ(read.license, "CC0");
  EXPECT_EQ(read.codec.fingerprint, voice.codec.fingerprint);
  ASSERT_EQ(read.clips.size(), 1u);
  EXPECT_EQ(read.clips[0].text, kText);
  EXPECT_EQ(read.clips[0].codes.ids, voice.clips[0].codes.ids);
  EXPECT_NEAR(read.seconds(), recording(*engine_).seconds(), 0.081);
}

TEST_F(Voices, AreContextOfTheirSpeaker) {
  const Voice voice = voice_of(*engine_, "anna");
  SpeechRequest request = greedy_request("Thank you.");
  request.context = voice_turns(*engine_, voice, 1);
  ASSERT_EQ(request.context.size(), 1u);
  EXPECT_EQ(request.context[0].speaker, 1);
  SpeechRequest with_sound = request;
  with_sound.context[0].codes.reset();
  with_sound.context[0].audio = recording(*engine_);
  EXPECT_EQ(engine_->prompt(request).frames, engine_->prompt(with_sound).frames) << "the same as the recording itself";
  EXPECT_GT(engine_->synthesize(request, {}).codes.n_frames(), 0);
}

TEST_F(Voices, AnotherSampleRateMakesNearlyTheSameClip) {
  const Audio sound = recording(*engine_);
  const Voice voice = voice_of(*engine_, "anna");
  const VoiceClip clip = make_clip(*engine_, resample(sound, 44'100), kText);
  EXPECT_EQ(clip.codes.n_frames(), voice.clips[0].codes.n_frames());
}

TEST_F(Voices, BelongToTheirCodec) {
  const Voice voice = voice_of(*engine_, "anna");
  EXPECT_NO_THROW(voice_turns(*engine_, voice, 0));
  EngineOptions half = options_for(std::string(CSM_MODELS_DIR) + "/demo");
  half.codec_dtype = "f16";
  EXPECT_NO_THROW(voice_turns(*Engine::open(half), voice, 0)) << "precision does not change what codes mean";
  const auto other = open_tiny("csm-tiny-f/hf-f32");
  const std::string message = error_of(ErrorCode::kInvalidArgument, [&] { (void)voice_turns(*other, voice, 0); });
  EXPECT_TRUE(contains(message, "another model's codec")) << message;
}

TEST_F(Voices, AreStoredListedAndRemoved) {
  const Voice voice = voice_of(*engine_, "anna");
  EXPECT_EQ(voices_directory(), path("csm/voices"));
  const size_t n_bundled = list_voices().size();
  store_voice(voice, VoiceConflict::kFail);
  EXPECT_TRUE(
      contains(error_of(ErrorCode::kInvalidArgument, [&] { store_voice(voice, VoiceConflict::kFail); }), "anna"));
  store_voice(voice, VoiceConflict::kReplace);
  EXPECT_EQ(list_voices().size(), n_bundled + 1);
  EXPECT_EQ(find_voice("anna").clips[0].codes.ids, voice.clips[0].codes.ids);
  EXPECT_EQ(find_voice(path("csm/voices/anna.csmvoice")).name, "anna");
  remove_voice("anna");
  EXPECT_EQ(list_voices().size(), n_bundled);
  EXPECT_TRUE(contains(error_of(ErrorCode::kNotFound, [] { (void)find_voice("anna"); }), "there is no voice 'anna'"));
  error_of(ErrorCode::kNotFound, [] { remove_voice("../anna"); });
  error_of(ErrorCode::kNotFound, [&] { (void)find_voice(path("nothing.csmvoice")); });
}

TEST_F(Voices, ThoseThatComeWithCsmSpeak) {
  int n_bundled = 0;
  for (const VoiceEntry& entry : list_voices()) {
    if (!entry.is_bundled) continue;
    ++n_bundled;
    const Voice voice = find_voice(entry.name);
    EXPECT_FALSE(voice.license.empty()) << entry.name;
    SpeechRequest request = greedy_request("Good morning.");
    request.speaker = voice.speaker;
    request.context = voice_turns(*engine_, voice, voice.speaker);
    const SpeechResult result = engine_->synthesize(request, {});
    EXPECT_EQ(result.stats.finish_reason, FinishReason::kEnd) << entry.name;
    EXPECT_NEAR(result.stats.audio_seconds, 1, 0.6) << entry.name;
    EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { remove_voice(entry.name); }), "comes with csm"));
  }
  EXPECT_GE(n_bundled, 2);
}

TEST_F(Voices, NamesCannotLeaveTheirFolder) {
  Voice voice = voice_of(*engine_, "anna");
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "../a", "a b", "a\nb", "caf\xC3\xA9"}) {
    voice.name = name;
    error_of(ErrorCode::kInvalidArgument, [&] { store_voice(voice, VoiceConflict::kFail); });
  }
  voice.name = std::string(65, 'a');
  error_of(ErrorCode::kInvalidArgument, [&] { voice.validate(); });
  voice.name = "a";
  voice.clips[0].text = "broken \xFF";
  error_of(ErrorCode::kInvalidArgument, [&] { store_voice(voice, VoiceConflict::kFail); });
}

std::string refused(const std::string& text) {
  return error_of(ErrorCode::kInvalidData, [&] { (void)parse_voice(text, "v"); });
}

// A file with one part of it replaced.
std::string altered(const std::string& good, const std::string& from, const std::string& to) {
  std::string text = good;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(VoiceFile, HostileOnesAreRefusedByName) {
  const std::string good =
      R"({"format":"csm-voice","version":1,"name":"a","codec":{"sample_rate_hz":24000,"frame_samples":1920,)"
      R"("n_codebooks":2,"fingerprint":[0.5]},"clips":[{"text":"x","codes":[1,2,3,4]}]})";
  EXPECT_EQ(parse_voice(good, "v").clips[0].codes.n_frames(), 2);
  EXPECT_TRUE(contains(refused("{}"), "is not a voice"));
  EXPECT_TRUE(contains(refused("[1]"), "v"));
  EXPECT_TRUE(contains(refused(good.substr(0, 60)), "v"));
  EXPECT_TRUE(contains(refused(altered(good, "csm-voice", "other")), "is not a voice"));
  EXPECT_TRUE(contains(refused(altered(good, "\"version\":1", "\"version\":2")), "version 2"));
  EXPECT_TRUE(contains(refused(altered(good, "\"name\":\"a\"", "\"name\":\"../a\"")), "cannot be named"));
  EXPECT_TRUE(contains(refused(altered(good, "\"n_codebooks\":2", "\"n_codebooks\":0")), "codec.n_codebooks"));
  EXPECT_TRUE(contains(refused(altered(good, "\"n_codebooks\":2", "\"n_codebooks\":3")), "whole frames of 3"));
  EXPECT_TRUE(contains(refused(altered(good, "[0.5]", "[]")), "fingerprint"));
  EXPECT_TRUE(contains(refused(altered(good, "[0.5]", "[-1]")), "fingerprint"));
  EXPECT_TRUE(contains(refused(altered(good, "[1,2,3,4]", "[1,2,3,-4]")), "clips[0].codes"));
  EXPECT_TRUE(contains(refused(altered(good, "[1,2,3,4]", "[1,2,3,4e30]")), "codes"));
  EXPECT_TRUE(contains(refused(altered(good, "[1,2,3,4]", "[]")), "codes"));
  EXPECT_TRUE(contains(refused(altered(good, "[{\"text\"", "[7,{\"text\"")), "clips[0]"));
  EXPECT_TRUE(contains(refused(altered(good, "\"text\":\"x\"", "\"text\":7")), "clips[0].text"));
  EXPECT_TRUE(contains(refused(altered(good, "\"clips\":[", "\"clips\":7,\"no\":[")), "clips"));
  EXPECT_TRUE(contains(refused(std::string(200'000, '[')), "v"));
}

// Codes that the codec does not have are found when they are used.
TEST_F(Voices, CodesBeyondTheCodecAreAnError) {
  Voice voice = voice_of(*engine_, "anna");
  voice.clips[0].codes.ids[3] = 100'000;
  SpeechRequest request = greedy_request("Hello.");
  request.context = voice_turns(*engine_, voice, 0);
  error_of(ErrorCode::kInvalidArgument, [&] { (void)engine_->synthesize(request, {}); });
}

Audio with(const Audio& sound, const std::function<float(size_t, float)>& change) {
  Audio result = sound;
  for (size_t i = 0; i < result.samples.size(); ++i) result.samples[i] = change(i, result.samples[i]);
  return result;
}

TEST_F(Voices, ClipsAreChecked) {
  const Audio good = recording(*engine_);
  const auto warning = [](const Audio& audio, const std::string& text) {
    std::string all;
    for (const std::string& line : check_clip(audio, text).warnings) all += line + ";";
    return all;
  };
  EXPECT_EQ(warning(good, kText), "");
  EXPECT_TRUE(contains(warning(with(good, [](size_t, float x) { return x * 0.01f; }), kText), "quiet"));
  EXPECT_TRUE(
      contains(warning(with(good, [](size_t, float x) { return std::fmin(1.0f, std::fmax(-1.0f, x * 30)); }), kText),
               "clipped"));
  const auto hiss = [](size_t i, float x) { return x + 0.02f * std::sin(static_cast<float>(i * i % 7919)); };
  EXPECT_TRUE(contains(warning(with(good, hiss), kText), "noisy"));
  EXPECT_TRUE(contains(warning(good, "No."), "letters a second"));
  Audio padded = good;
  padded.samples.insert(padded.samples.begin(), 24'000, 0.0f);
  EXPECT_TRUE(contains(warning(padded, kText), "silence around"));
  Audio lengthy = good;
  while (lengthy.seconds() < 21)
    lengthy.samples.insert(lengthy.samples.end(), good.samples.begin(), good.samples.end());
  EXPECT_TRUE(contains(warning(lengthy, kText), "long"));
  error_of(ErrorCode::kInvalidArgument, [&] { (void)check_clip(good, "  "); });
  error_of(ErrorCode::kInvalidArgument, [&] { (void)check_clip(Audio{std::vector<float>(24'000), 24'000}, kText); });
  error_of(ErrorCode::kInvalidArgument, [&] {
    (void)check_clip(Audio{std::vector<float>(2'400, 0.1f), 24'000}, kText);
  });
  error_of(ErrorCode::kInvalidArgument,
           [&] { (void)check_clip(with(good, [](size_t i, float x) { return i == 7 ? NAN : x; }), kText); });
}

}  // namespace
}  // namespace csm::test
