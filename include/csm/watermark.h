// The watermark: speech that says it is synthetic.
//
// Everything the engine speaks carries it unless a request says otherwise. The mark is a pattern of small level changes
// (about 2 dB) over tiles of 20 ms by 100 Hz, drawn from a key, and it carries 32 bits. It survives lossy coding, telephone
// bands, filters, noise, cuts and echo; docs/watermark.md has the measured table, and what it does not survive.
//
// The default key is public: anybody can find such a mark, and also forge or remove it. A key of your own is a secret of
// 32 bytes in a file. Embedders and their owners: one thread. All other functions: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <csm/audio.h>

namespace csm {

struct WatermarkKey {
  std::array<uint8_t, 32> bytes{};
  std::string name;  // for reports: "public", or the name of its file
};

// The key that is compiled in. It is no secret: see above.
WatermarkKey public_watermark_key();
// 64 hexadecimal digits; spaces, line breaks and lines that begin with # are skipped. Errors: kInvalidData, which never
// quotes the digits.
WatermarkKey parse_watermark_key(const std::string& text, const std::string& name);
// A file that holds one. Errors: kNotFound, kIo, kInvalidData.
WatermarkKey read_watermark_key(const std::string& path);
// Writes a new one, drawn by the operating system, that only its owner can read. Errors: kIo, also when the file exists.
void write_new_watermark_key(const std::string& path);

// How strong: what is gained in robustness is lost in fidelity.
enum class WatermarkPreset { kQuiet, kNormal, kStrong };
const char* to_string(WatermarkPreset preset);
// Errors: kInvalidArgument, naming the three.
WatermarkPreset parse_watermark_preset(const std::string& name);

inline constexpr uint32_t kDefaultWatermarkPayload = 0x43534D01;  // "CSM" and a version

struct WatermarkOptions {
  bool enabled = true;
  WatermarkPreset preset = WatermarkPreset::kNormal;
  uint32_t payload = kDefaultWatermarkPayload;
  WatermarkKey key = public_watermark_key();
};

// What an utterance carries.
struct WatermarkStats {
  bool embedded = false;  // at least one tile was changed: false for silence, and when not asked for
  WatermarkPreset preset = WatermarkPreset::kNormal;
  uint32_t payload = 0;
  std::string key_name;
  double changed_share = 0;  // of the tiles of all chips so far
};

// Marks samples as they come. What comes out has the length and the alignment of what went in, 20 ms later; the samples do
// not depend on how they were divided into pieces. Zeros that stand together stay zeros. Allocates nothing once `out` has
// room.
class WatermarkEmbedder {
 public:
  // Errors: kUnsupported (a sample rate that is no multiple of 50 Hz; mark_audio() takes every rate).
  WatermarkEmbedder(const WatermarkOptions& options, int sample_rate_hz);
  ~WatermarkEmbedder();
  WatermarkEmbedder(WatermarkEmbedder&&) noexcept;
  WatermarkEmbedder& operator=(WatermarkEmbedder&&) noexcept;

  // Appends what is ready to out.
  void push(const float* samples, size_t n_samples, std::vector<float>& out);
  // Appends the rest: in all, as many samples as were pushed. Then the next utterance may begin.
  void finish(std::vector<float>& out);
  const WatermarkStats& stats() const;  // of the utterance that goes on, or else of the last one

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A marked copy, any rate. Above 24 kHz all frequencies are kept.
Audio mark_audio(const Audio& audio, const WatermarkOptions& options);
// From any file that read_audio reads to a file that write_audio writes, channels and rate as they were.
WatermarkStats mark_audio_file(const std::string& from, const std::string& to, const WatermarkOptions& options,
                               SampleFormat format);

struct WatermarkSearch {
  std::vector<WatermarkKey> keys = {public_watermark_key()};
  // A known payload is found in less sound than one that must be read.
  std::vector<uint32_t> known_payloads = {kDefaultWatermarkPayload};
  double false_positive_target = 1e-6;  // per key, all that is tried included
  bool speeds = false;                  // also try speeds of 0.97 to 1.03, where the direct try finds nothing

  void validate() const;
};

struct WatermarkRegion {
  double begin_seconds = 0;
  double end_seconds = 0;
  uint32_t payload = 0;
};

// What was found with one key. Probabilities are those of finding as much in sound that was not marked with this key.
struct WatermarkFinding {
  std::string key_name;
  bool found = false;
  double z = 0;                           // correlation in standard deviations, the best of all that was tried
  double false_positive_probability = 1;  // of that z, all that was tried included
  std::optional<uint32_t> payload;        // known or read, when found
  bool payload_was_read = false;          // decoded from the sound alone
  double offset_seconds = 0;              // where a period of the pattern begins, in [0, 2.56)
  double speed = 1;                       // of the marked sound, as it was found
  std::vector<WatermarkRegion> regions;   // where it is, in seconds of this sound
};

// One finding for each key, in order. Any rate. Errors: kInvalidArgument.
std::vector<WatermarkFinding> find_watermark(const Audio& audio, const WatermarkSearch& search);

}  // namespace csm
