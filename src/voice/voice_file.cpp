#include "voice/voice_file.h"

#include "base/fail.h"
#include "io/file.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr const char* kFormat = "csm-voice";
constexpr int kVersion = 1;
constexpr uint64_t kMaxFileBytes = 16 << 20;
constexpr int kMaxClips = 256;
constexpr int kMaxCodes = 1 << 20;  // of a clip
constexpr int kMaxCode = 1 << 20;
constexpr int kMaxCodebooks = 64;
constexpr int kMaxFingerprint = 1024;
constexpr int kMaxSpeaker = 1 << 20;
constexpr int kMaxRate = 768'000;

CodecIdentity read_identity(const JsonObject& codec, const nlohmann::json& value) {
  CodecIdentity identity;
  identity.sample_rate_hz = codec.integer("sample_rate_hz", 1, kMaxRate);
  identity.frame_samples = codec.integer("frame_samples", 1, kMaxRate);
  identity.n_codebooks = codec.integer("n_codebooks", 1, kMaxCodebooks);
  const auto found = value.find("fingerprint");
  if (found == value.end() || !found->is_array() || found->empty() || found->size() > kMaxFingerprint) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' must be a list of 1 to {} numbers", codec.where(),
         codec.path_of("fingerprint"), kMaxFingerprint);
  }
  for (const nlohmann::json& level : *found) {
    if (!level.is_number() || !(level.get<double>() >= 0 && level.get<double>() <= 1e6)) {
      fail(ErrorCode::kInvalidData, "'{}': field '{}' holds {}; expected numbers of 0 to 1e6", codec.where(),
           codec.path_of("fingerprint"), brief(level));
    }
    identity.fingerprint.push_back(level.get<float>());
  }
  return identity;
}

VoiceClip read_clip(const JsonObject& clip, int n_codebooks) {
  VoiceClip result;
  result.text = clip.text("text");
  result.codes.n_codebooks = n_codebooks;
  result.codes.ids = clip.integers("codes", 0, kMaxCode, kMaxCodes);
  if (result.codes.ids.size() % static_cast<size_t>(n_codebooks) != 0) {
    fail(ErrorCode::kInvalidData, "'{}': field '{}' has {} codes; expected whole frames of {}", clip.where(),
         clip.path_of("codes"), result.codes.ids.size(), n_codebooks);
  }
  return result;
}

}  // namespace

Voice parse_voice(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  const JsonObject root(document, where);
  if (root.text_or("format", "") != kFormat) {
    fail(ErrorCode::kInvalidData, "'{}' is not a voice: expected \"format\": \"{}\"", where, kFormat);
  }
  const int version = root.integer("version", 1, 1 << 20);
  if (version != kVersion) {
    fail(ErrorCode::kInvalidData, "'{}' is a voice of version {}; this csm reads version {}", where, version, kVersion);
  }
  Voice voice;
  voice.name = root.text("name");
  voice.speaker = root.integer_or("speaker", 0, kMaxSpeaker, 0);
  voice.license = root.text_or("license", "");
  voice.description = root.text_or("description", "");
  const JsonObject codec = root.object("codec");
  voice.codec = read_identity(codec, document.at("codec"));
  const auto clips = document.find("clips");
  if (clips == document.end() || !clips->is_array() || clips->empty() || clips->size() > kMaxClips) {
    fail(ErrorCode::kInvalidData, "'{}': field 'clips' must be a list of 1 to {} clips", where, kMaxClips);
  }
  for (size_t i = 0; i < clips->size(); ++i) {
    const JsonObject clip(clips->at(i), where, fmt::format("clips[{}]", i));
    voice.clips.push_back(read_clip(clip, voice.codec.n_codebooks));
  }
  try {
    voice.validate();
  } catch (const Error& error) {
    fail(ErrorCode::kInvalidData, "'{}': {}", where, error.what());
  }
  return voice;
}

std::string format_voice(const Voice& voice) {
  nlohmann::ordered_json document = {{"format", kFormat},        {"version", kVersion},
                                     {"name", voice.name},       {"speaker", voice.speaker},
                                     {"license", voice.license}, {"description", voice.description}};
  document["codec"] = {{"sample_rate_hz", voice.codec.sample_rate_hz},
                       {"frame_samples", voice.codec.frame_samples},
                       {"n_codebooks", voice.codec.n_codebooks},
                       {"fingerprint", voice.codec.fingerprint}};
  document["clips"] = nlohmann::ordered_json::array();
  for (const VoiceClip& clip : voice.clips)
    document["clips"].push_back({{"text", clip.text}, {"codes", clip.codes.ids}});
  return document.dump() + "\n";
}

Voice read_voice(const std::string& path) { return parse_voice(read_text_file(path, kMaxFileBytes), path); }

void write_voice(const std::string& path, const Voice& voice) {
  voice.validate();
  AtomicFile file(path);
  file.write(format_voice(voice));
  file.commit();
}

}  // namespace csm
