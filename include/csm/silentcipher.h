// SilentCipher 44.1k: the mark that the reference CSM puts into its speech, for people who check with its tool.
//
// It needs the original's weights, which are not included (`csm pull silentcipher`, or a directory of your own), and works on a finished
// utterance: every layer is normalised over the whole of it, so that it cannot stream. The message is five bytes, and the only secret.
// The mark of csm/watermark.h needs neither; a file may carry both (this one first).
//
// Paper: "SilentCipher: Deep Audio Watermarking", Interspeech 2024. Weights are shared and immutable: any thread; a call uses as many
// threads as it is told.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <csm/audio.h>

namespace csm {

using SilentCipherMessage = std::array<uint8_t, 5>;

// What the reference CSM writes. Everybody knows it, so it says "made by CSM" and proves nothing.
inline constexpr SilentCipherMessage kCsmMessage = {212, 211, 146, 56, 201};

// "D4D39238C9", or five numbers from 0 to 255 separated by commas. Errors: kInvalidArgument.
SilentCipherMessage parse_silentcipher_message(const std::string& text);
std::string to_string(const SilentCipherMessage& message);  // ten hexadecimal digits

struct SilentCipherEmbedOptions {
  SilentCipherMessage message = kCsmMessage;
  double sdr_db = 36;  // how far the mark is below the speech: the reference's
  int n_threads = 0;   // 0: the processor's

  void validate() const;
};

// How reading looks for where the frames of the mark begin.
enum class SilentCipherSearch {
  kNone,       // at the beginning of the sound: one pass; right for files that nobody has cut
  kExhaustive  // at 205 places, as the reference does: minutes for each second of sound
};

struct SilentCipherReadOptions {
  SilentCipherSearch search = SilentCipherSearch::kNone;
  int n_threads = 0;
  std::function<bool()> keep_going = {};  // asked before each pass; false ends in kCancelled
};

// What the reference's rules read.
struct SilentCipherReading {
  bool found = false;  // the message has one end mark. Below two seconds of sound this says nothing: every sound may have one
  SilentCipherMessage message{};
  double confidence = 0;  // share of frames that agree with the message
  int shift_samples = 0;  // at 44.1 kHz: where it was read
};

// Whether a sound carries a known message: better than reading it, since all frames are weighed together, and with a probability.
struct SilentCipherFinding {
  bool found = false;
  double z = 0;                           // standard deviations above random messages
  double false_positive_probability = 1;  // all places that were tried included
  int shift_samples = 0;
  int n_passes = 0;
};

class SilentCipher {
 public:
  // A directory with enc_c.ckpt, dec_c.ckpt and (to read) dec_m_0.ckpt, or the same as .safetensors; also the hub's snapshot. Errors:
  // kNotFound, kInvalidData, kUnsupported (a .ckpt that holds more than tensors: nothing in it is run).
  static std::shared_ptr<const SilentCipher> open(const std::string& directory);
  ~SilentCipher();
  SilentCipher(const SilentCipher&) = delete;
  SilentCipher& operator=(const SilentCipher&) = delete;

  // Whether dec_m_0 is there, without which nothing can be read.
  bool can_read() const;

  // A marked copy of the same rate and length, by way of 44.1 kHz. Silence stays as it is. Errors: kInvalidArgument, kResourceLimit
  // (sounds of more than ten minutes).
  Audio embed(const Audio& audio, const SilentCipherEmbedOptions& options = {}) const;

  // From any file that read_audio reads to one that write_audio writes, each channel by itself. Errors: those of both.
  void embed_file(const std::string& from, const std::string& to, SampleFormat format, const SilentCipherEmbedOptions& options = {}) const;

  // Errors: kUnsupported without dec_m_0; kCancelled.
  SilentCipherReading read(const Audio& audio, const SilentCipherReadOptions& options = {}) const;

  // Tries the beginning first and then up to 16 other places; false_positive_target: what counts as found.
  SilentCipherFinding find(const Audio& audio, const SilentCipherMessage& message, double false_positive_target = 1e-6,
                           const SilentCipherReadOptions& options = {}) const;

 private:
  class Impl;
  explicit SilentCipher(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace csm
