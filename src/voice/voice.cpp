// From recordings to clips, and from voices to context.
#include <csm/voice.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/utf8.h"

namespace csm {
namespace {

constexpr int kIdentityFrames = 6;
constexpr int kPiecesPerFrame = 4;
constexpr double kSameCodec = 0.05;  // part by which levels of one codec may differ between precisions
constexpr size_t kMaxNameLength = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// Of a name that may hold anything, what a message can show.
std::string on_one_line(std::string name) {
  if (name.size() > kMaxNameLength) name.resize(kMaxNameLength);
  for (char& c : name) {
    if (c < ' ' || c > '~') c = '?';
  }
  return name;
}

void check_text(const std::string& text, const std::string& name) {
  const size_t bad = first_invalid_utf8(text);
  if (bad == std::string::npos) return;
  fail(ErrorCode::kInvalidArgument, "voice '{}' has a text that is not valid UTF-8 from byte {} on; convert it", name,
       bad);
}

// Some codes of every codebook, none of them 0, which some codecs never use.
Codes identity_codes(int n_codebooks) {
  Codes codes;
  codes.n_codebooks = n_codebooks;
  for (int frame = 0; frame < kIdentityFrames; ++frame) {
    for (int codebook = 0; codebook < n_codebooks; ++codebook) codes.ids.push_back(1 + (frame * 5 + codebook * 3) % 15);
  }
  return codes;
}

bool is_same(const CodecIdentity& a, const CodecIdentity& b) {
  if (a.sample_rate_hz != b.sample_rate_hz || a.frame_samples != b.frame_samples || a.n_codebooks != b.n_codebooks ||
      a.fingerprint.size() != b.fingerprint.size()) {
    return false;
  }
  double difference = 0;
  double total = 0;
  for (size_t i = 0; i < a.fingerprint.size(); ++i) {
    difference += std::pow(static_cast<double>(a.fingerprint[i]) - b.fingerprint[i], 2);
    total += std::pow(static_cast<double>(a.fingerprint[i]), 2);
  }
  return std::sqrt(difference) <= kSameCodec * std::sqrt(total);
}

}  // namespace

double Voice::seconds() const {
  if (codec.sample_rate_hz <= 0) return 0;
  double frames = 0;
  for (const VoiceClip& clip : clips) frames += clip.codes.n_frames();
  return frames * codec.frame_samples / codec.sample_rate_hz;
}

void Voice::validate() const {
  const bool is_good = !name.empty() && name.size() <= kMaxNameLength && name.front() != '.' &&
                       std::all_of(name.begin(), name.end(), is_name_character);
  if (!is_good) {
    fail(ErrorCode::kInvalidArgument,
         "a voice cannot be named '{}': expected 1 to {} letters, digits, '-', '_' and '.', and no '.' first",
         on_one_line(name), kMaxNameLength);
  }
  if (speaker < 0) fail(ErrorCode::kInvalidArgument, "voice '{}': speaker is {}; expected 0 or more", name, speaker);
  for (const std::string* text : {&license, &description}) check_text(*text, name);
  for (const VoiceClip& clip : clips) check_text(clip.text, name);
  if (clips.empty()) fail(ErrorCode::kInvalidArgument, "voice '{}' has no clips; expected at least one", name);
}

CodecIdentity codec_identity(Engine& engine) {
  CodecIdentity identity;
  identity.sample_rate_hz = engine.sample_rate_hz();
  identity.frame_samples = engine.frame_samples();
  identity.n_codebooks = engine.n_codebooks();
  const Audio sound = engine.decode(identity_codes(identity.n_codebooks));
  const size_t piece = static_cast<size_t>(identity.frame_samples) / kPiecesPerFrame;
  for (size_t at = 0; at + piece <= sound.samples.size(); at += piece) {
    double sum = 0;
    for (size_t i = at; i < at + piece; ++i) sum += static_cast<double>(sound.samples[i]) * sound.samples[i];
    identity.fingerprint.push_back(static_cast<float>(std::sqrt(sum / static_cast<double>(piece))));
  }
  return identity;
}

VoiceClip make_clip(Engine& engine, const Audio& audio, const std::string& text) {
  (void)check_clip(audio, text);
  return {text, engine.encode(audio, engine.n_codebooks())};
}

std::vector<Turn> voice_turns(Engine& engine, const Voice& voice, int speaker) {
  voice.validate();
  if (!is_same(voice.codec, codec_identity(engine))) {
    fail(
        ErrorCode::kInvalidArgument,
        "voice '{}' was made with another model's codec ({} codebooks at {} Hz); make it anew from its recordings with "
        "this model: csm voice add",
        voice.name, voice.codec.n_codebooks, voice.codec.sample_rate_hz);
  }
  std::vector<Turn> turns;
  for (const VoiceClip& clip : voice.clips) turns.push_back({speaker, clip.text, std::nullopt, clip.codes});
  return turns;
}

}  // namespace csm
