// Voices: named sets of clips with what was said in them, which fix how a speaker sounds.
//
// A voice is context: its clips come before the conversation, as turns of the speaker who is to speak. It keeps the codec's
// codes, not the sound, so it is small and costs no encoding, but is tied to its codec, which is checked. One voice is one
// file. Voices of the user lie in $XDG_DATA_HOME/csm/voices (else ~/.local/share/csm/voices); those that come with csm.cpp
// lie beside the bundled model. Free functions; any thread, and no state but files.
#pragma once

#include <string>
#include <vector>

#include <csm/audio.h>
#include <csm/engine.h>
#include <csm/speech.h>

namespace csm {

// What makes codes of one codec mean nothing to another: its shape, and how loud a fixed row of codes sounds in it.
struct CodecIdentity {
  int sample_rate_hz = 0;
  int frame_samples = 0;
  int n_codebooks = 0;
  std::vector<float> fingerprint;  // levels of the pieces of that sound, the same for every precision of the weights
};

struct VoiceClip {
  std::string text;  // what is said, word for word
  Codes codes;
};

struct Voice {
  std::string name;  // 1 to 64 letters, digits, '-', '_' and '.', the first no '.'
  int speaker = 0;   // the number it is used with when the request names none
  std::string license;
  std::string description;
  CodecIdentity codec;
  std::vector<VoiceClip> clips;

  double seconds() const;
  void validate() const;  // throws kInvalidArgument
};

// What a recording is like as a clip of a voice.
struct ClipReport {
  double seconds = 0;
  double loudness_dbfs = 0;   // of its sound, silence left out
  double noise_dbfs = 0;      // of its quietest twentieth
  double clipped_share = 0;   // of samples at full scale
  double lead_seconds = 0;    // of silence
  double trail_seconds = 0;
  std::vector<std::string> warnings;  // what would make a poor voice of it, one line each
};

// Errors: kInvalidArgument for what cannot be a clip at all: no sound, under half a second, no text.
ClipReport check_clip(const Audio& audio, const std::string& text);

// Any sample rate. Errors: those of check_clip and Engine::encode.
VoiceClip make_clip(Engine& engine, const Audio& audio, const std::string& text);

CodecIdentity codec_identity(Engine& engine);

// The voice as context turns of a speaker. Errors: kInvalidArgument when it was made with another codec.
std::vector<Turn> voice_turns(Engine& engine, const Voice& voice, int speaker);

// One file: JSON. Errors: kNotFound, kInvalidData (names what is wrong with it), kIo.
Voice read_voice(const std::string& path);
void write_voice(const std::string& path, const Voice& voice);

struct VoiceEntry {
  std::string name;
  std::string path;
  bool is_bundled = false;
};

std::string voices_directory();  // of the user; need not exist
std::vector<VoiceEntry> list_voices();  // by name; a user's voice hides a bundled one of the same name

// A name, or the path of a voice file. Errors: kNotFound, with the nearest names there are; those of read_voice.
Voice find_voice(const std::string& name_or_path);

// Adds to the user's voices, and makes their folder. Errors: kInvalidArgument when there is one of that name, unless
// replacing; kIo.
enum class VoiceConflict { kFail, kReplace };
void store_voice(const Voice& voice, VoiceConflict conflict);

// Errors: kNotFound; kInvalidArgument for a bundled voice.
void remove_voice(const std::string& name);

}  // namespace csm
