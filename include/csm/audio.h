// Sampled sound, and the way to and from audio files.
//
// Audio is always mono float32, nominally in [-1, 1]. Files of any channel count, sample format and rate that
// libsndfile reads are mixed down to the mean of their channels. All functions are thread-safe and stateless.
#pragma once

#include <string>
#include <vector>

namespace csm {

struct Audio {
  std::vector<float> samples;  // [n_samples], mono
  int sample_rate_hz = 0;

  double seconds() const {
    return sample_rate_hz > 0 ? static_cast<double>(samples.size()) / sample_rate_hz : 0.0;
  }
};

enum class SampleFormat { kInt16, kFloat32 };

// Reads a whole audio file, mixed down to mono, at the file's own rate.
// Errors: kNotFound (no such file), kInvalidData (not an audio file, damaged, 0 samples), kIo.
Audio read_audio(const std::string& path);

// Band-limited sample rate conversion; the result has ceil(n_samples * rate / audio.sample_rate_hz) samples.
// Windowed-sinc as in torchaudio.functional.resample with its defaults (Hann window, 6 zero crossings, roll-off 0.99),
// which is what the reference CSM generator applies to context audio.
// Errors: kInvalidArgument (rate outside 1,000..768,000 Hz).
Audio resample(const Audio& audio, int sample_rate_hz);

// Writes an audio file; the container follows the file name (.wav, .flac, .ogg, .mp3 ...; default WAV). A regular file appears
// under its final name only when it is whole; int16 samples are clipped to [-1, 1].
// Errors: kIo (cannot create, disk full), kUnsupported (container or format not available).
void write_audio(const std::string& path, const Audio& audio, SampleFormat format);

// Throws what write_audio would throw before it encodes anything: to be asked before long work whose result goes there.
void check_audio_path(const std::string& path, int sample_rate_hz, SampleFormat format);

// The 44-byte header of a WAV stream whose length is not known yet (sizes 0xFFFFFFFF), for writing to a pipe.
std::string wav_stream_header(int sample_rate_hz, SampleFormat format);

// Samples as the little-endian bytes that follow such a header.
std::string wav_sample_bytes(const float* samples, size_t n_samples, SampleFormat format);

}  // namespace csm
