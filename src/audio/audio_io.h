// Inside of the audio folder: decoding from memory, the bounds, and libsndfile's way to bytes.
//
// Place in the flow: files -> samples and samples -> files (csm/audio.h). Values; thread-safe.
#pragma once

#include <csm/audio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace csm {

inline constexpr int kMinSampleRateHz = 1'000;
inline constexpr int kMaxSampleRateHz = 768'000;
inline constexpr int kMaxChannels = 64;
inline constexpr int kMaxSeconds = 3'600;
// An hour at 96 kHz (1.4 GB): what a few kilobytes of compressed silence can make us hold at most.
inline constexpr int64_t kMaxSamples = int64_t{kMaxSeconds} * 96'000;

// As read_audio, from the bytes of a file. `where` names them in errors.
Audio read_audio_bytes(std::span<const std::byte> bytes, const std::string& where);

// Sound whose channels are kept apart.
struct ChannelAudio {
  std::vector<std::vector<float>> channels;  // at least one; all of one length
  int sample_rate_hz = 0;
};

// As read_audio and write_audio, with every channel of the file.
ChannelAudio read_audio_channels(const std::string& path);
void write_audio_channels(const std::string& path, const ChannelAudio& audio, SampleFormat format);

// Clips to [-1, 1] and scales by 2^(bits-1), the inverse of how integer samples are read. `noise` is added, in units of
// the last bit. Samples must be finite.
int32_t to_integer(double sample, int bits, double noise);

// Throws kInvalidArgument when a sample is NaN or infinite: no file format gives that a meaning.
void check_finite(std::span<const float> samples, const std::string& where);

// As wav_stream_header, with tags in a LIST chunk; bits 16, 24 or 32.
enum class Coding { kInteger, kFloat };
std::string wav_pipe_header(int sample_rate_hz, Coding coding, int bits,
                            const std::vector<std::pair<std::string, std::string>>& tags);

}  // namespace csm
