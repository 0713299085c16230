// Sampled sound, and the way to and from audio files.
//
// Audio is always mono float32, nominally in [-1, 1]. Files of any channel count, sample format and rate that
// libsndfile reads are mixed down to the mean of their channels. All functions are thread-safe and stateless; an
// AudioWriter serves one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace csm {

struct Audio {
  std::vector<float> samples;  // [n_samples], mono
  int sample_rate_hz = 0;

  double seconds() const { return sample_rate_hz > 0 ? static_cast<double>(samples.size()) / sample_rate_hz : 0.0; }
};

enum class SampleFormat { kInt16, kFloat32, kInt24, kInt32 };

// Reads a whole audio file, mixed down to mono, at the file's own rate.
// Errors: kNotFound (no such file), kInvalidData (not an audio file, damaged, 0 samples), kIo.
Audio read_audio(const std::string& path);

// Band-limited sample rate conversion; the result has ceil(n_samples * rate / audio.sample_rate_hz) samples.
// Windowed-sinc as in torchaudio.functional.resample with its defaults (Hann window, 6 zero crossings, roll-off 0.99),
// which is what the reference CSM generator applies to context audio.
// Errors: kInvalidArgument (rate outside 1,000..768,000 Hz).
Audio resample(const Audio& audio, int sample_rate_hz);

// A kind of audio file that this build writes.
struct AudioFormat {
  std::string name;                     // what AudioOutputOptions::format takes: "wav", "opus" ...
  std::vector<std::string> extensions;  // file name endings, without the dot, that choose it
  std::string text;                     // one line for people
};
std::vector<AudioFormat> audio_output_formats();

enum class Dither { kNone, kTriangular };

// How sound becomes a file. The steps run in the order of the fields: other rate, fades, loudness or peak, true peak,
// integers.
struct AudioOutputOptions {
  std::string format;           // a name of audio_output_formats(); "" = by the ending of the file name, else wav
  int sample_rate_hz = 0;       // 8,000 to 384,000; 0 = the sound's own. Opus and MP3 take the next rate they have
  double fade_in_seconds = 0;   // 0 to 60
  double fade_out_seconds = 0;  // 0 to 60
  std::optional<double>
      loudness_lufs;              // -70 to -5: integrated loudness (EBU R128); true_peak_db is then -1 unless it is set
  std::optional<double> peak_db;  // -60 to 0: the largest sample, dBFS; excludes loudness_lufs
  std::optional<double> true_peak_db;           // -20 to 0: ceiling of the look-ahead limiter, dBTP
  SampleFormat samples = SampleFormat::kInt16;  // of containers that leave the choice; Vorbis, Opus and MP3 don't
  Dither dither = Dither::kNone;                // for integer samples
  // title, artist, album, comment, software, copyright, license, date, genre, track; where the container has a place
  // for them.
  std::vector<std::pair<std::string, std::string>> tags;

  // Throws kInvalidArgument with the field's name, its range and what it got.
  void validate() const;
};

// What was written.
struct AudioSummary {
  std::string format;
  int sample_rate_hz = 0;
  int64_t n_samples = 0;
  int64_t n_clipped = 0;  // samples beyond full scale
  // Of the result, where options asked for loudness, a peak or a true peak; unset also for silence.
  std::optional<double> loudness_lufs;
  std::optional<double> true_peak_db;
  double gain_db = 0;  // what loudness or peak came to

  double seconds() const { return sample_rate_hz > 0 ? static_cast<double>(n_samples) / sample_rate_hz : 0.0; }
};

// Where the bytes of a sound go when that is no file of ours: standard output, a socket, memory.
class SoundSink {
 public:
  virtual ~SoundSink() = default;
  virtual void write(const void* data, size_t n_bytes) = 0;  // all of them, or throws
  // Sinks that can move back get exact sizes in their headers; offset counts from the first byte that was written.
  virtual bool can_seek() const = 0;
  virtual void seek(uint64_t offset) = 0;
};

// Samples -> audio file, as they come and in constant memory. The bytes do not depend on how the samples were divided
// (but for the serial number that Ogg streams carry). With loudness_lufs or peak_db all samples must be known before
// the first can be written: they wait in a temporary file.
class AudioWriter {
 public:
  // A file, which appears under its final name with finish(), and not at all without it. Sizes in the header are right.
  // A path that is a pipe or a device is written in place. Errors: kInvalidArgument, kUnsupported (format, rate or tags
  // not available), kIo.
  static std::unique_ptr<AudioWriter> open(const std::string& path, int sample_rate_hz,
                                           const AudioOutputOptions& options);
  // Into a sink, which must outlive the writer; `where` names it in errors. Without a way back WAV has sizes of
  // 0xFFFFFFFF and FLAC no length; AIFF, AU, CAF, W64 and RF64 are kUnsupported.
  static std::unique_ptr<AudioWriter> open(SoundSink& sink, const std::string& where, int sample_rate_hz,
                                           const AudioOutputOptions& options);
  virtual ~AudioWriter() = default;

  // Errors: kInvalidArgument (not finite), kIo, kResourceLimit (WAV and AIFF end at 4 GiB: the samples are refused, and
  // finish() still makes a whole file of those before).
  virtual void push(std::span<const float> samples) = 0;
  virtual AudioSummary finish() = 0;  // once; nothing may follow
};

// Writes a whole sound; see AudioWriter.
AudioSummary write_audio(const std::string& path, const Audio& audio, const AudioOutputOptions& options);
// The same with the sample format alone: the container follows the file name (.wav, .flac, .ogg, .mp3 ...; default
// WAV).
void write_audio(const std::string& path, const Audio& audio, SampleFormat format);

// Throws what AudioWriter::open would throw, and writes nothing: to be asked before long work whose result goes there.
void check_audio_output(const std::string& path, int sample_rate_hz, const AudioOutputOptions& options);
void check_audio_output(const SoundSink& sink, const std::string& where, int sample_rate_hz,
                        const AudioOutputOptions& options);
void check_audio_path(const std::string& path, int sample_rate_hz, SampleFormat format);

// The 44-byte header of a WAV stream whose length is not known yet (sizes 0xFFFFFFFF), for writing to a pipe.
std::string wav_stream_header(int sample_rate_hz, SampleFormat format);

// Samples as the little-endian bytes that follow such a header.
std::string wav_sample_bytes(const float* samples, size_t n_samples, SampleFormat format);

}  // namespace csm
