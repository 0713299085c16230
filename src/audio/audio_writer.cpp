// The way of outgoing samples: rate, fades, loudness or peak, limiter, encoder, bytes.
#include <unistd.h>

#include <filesystem>

#include "audio/audio_io.h"
#include "audio/encoder.h"
#include "audio/fades.h"
#include "audio/loudness.h"
#include "audio/rate_converter.h"
#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

class FileSink : public SoundSink {
 public:
  explicit FileSink(const std::string& path) : file_(path), can_seek_(::lseek(file_.descriptor(), 0, SEEK_CUR) >= 0) {}
  void write(const void* data, size_t n_bytes) override { file_.write(data, n_bytes); }
  bool can_seek() const override { return can_seek_; }
  void seek(uint64_t offset) override { file_.seek(offset); }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  bool can_seek_;
};

// What one file will be, from options that may leave things open.
EncoderSpec encoder_spec(const std::string& path, const std::string& where, int sample_rate_hz,
                         const AudioOutputOptions& options) {
  options.validate();
  if (sample_rate_hz < kMinSampleRateHz || sample_rate_hz > kMaxSampleRateHz) {
    fail(ErrorCode::kInvalidArgument, "{}: expected sound of {} to {} Hz, found {} Hz", where, kMinSampleRateHz,
         kMaxSampleRateHz, sample_rate_hz);
  }
  EncoderSpec spec;
  spec.container = &choose_container(options.format, path);
  spec.format = sound_format(*spec.container, options.samples, where);
  spec.sample_rate_hz =
      container_rate(*spec.container, options.sample_rate_hz == 0 ? sample_rate_hz : options.sample_rate_hz);
  spec.dither = options.dither;
  spec.tags = options.tags;
  return spec;
}

int64_t to_samples(double seconds, int sample_rate_hz) { return static_cast<int64_t>(seconds * sample_rate_hz + 0.5); }

class Writer : public AudioWriter {
 public:
  Writer(std::unique_ptr<FileSink> file, SoundSink& sink, const std::string& path, const std::string& where,
         int sample_rate_hz, const AudioOutputOptions& options)
      : where_(where),
        file_(std::move(file)),
        spec_(encoder_spec(path, where, sample_rate_hz, options)),
        converter_(sample_rate_hz, spec_.sample_rate_hz),
        fades_(to_samples(options.fade_in_seconds, spec_.sample_rate_hz),
               to_samples(options.fade_out_seconds, spec_.sample_rate_hz)),
        encoder_(spec_, sink, where) {
    const std::optional<double> ceiling = ceiling_of(options);
    if (options.loudness_lufs || options.peak_db) {
      leveller_.emplace(options, spec_.sample_rate_hz);
    } else if (ceiling) {
      limiter_.emplace(*ceiling, spec_.sample_rate_hz);
    }
    if (leveller_ || limiter_) meter_.emplace(spec_.sample_rate_hz, LoudnessMeter::Measure::kLoudnessAndTruePeak);
  }

  void push(std::span<const float> samples) override {
    check_finite(samples, where_);
    converted_.clear();
    converter_.push(samples, converted_);
    faded_.clear();
    fades_.push(converted_, faded_);
    level(faded_);
  }

  AudioSummary finish() override {
    converted_.clear();
    converter_.finish(converted_);
    faded_.clear();
    fades_.push(converted_, faded_);
    fades_.finish(faded_);
    level(faded_);
    AudioSummary summary;
    if (leveller_) summary.gain_db = leveller_->finish([this](std::span<const float> block) { encode(block); });
    limited_.clear();
    if (limiter_) limiter_->finish(limited_);
    encode(limited_);
    encoder_.finish();
    if (file_) file_->commit();
    summary.format = spec_.container->name;
    summary.sample_rate_hz = spec_.sample_rate_hz;
    summary.n_samples = encoder_.n_samples();
    summary.n_clipped = encoder_.n_clipped();
    if (meter_) summary.loudness_lufs = meter_->integrated();
    if (meter_) summary.true_peak_db = meter_->true_peak_db();
    return summary;
  }

 private:
  void level(std::span<const float> samples) {
    if (leveller_) {
      leveller_->push(samples);
    } else if (limiter_) {
      limited_.clear();
      limiter_->push(samples, limited_);
      encode(limited_);
    } else {
      encode(samples);
    }
  }

  void encode(std::span<const float> samples) {
    encoder_.write(samples);
    if (meter_) meter_->add(samples);
  }

  std::string where_;
  std::unique_ptr<FileSink> file_;
  EncoderSpec spec_;
  RateConverter converter_;
  Fades fades_;
  Encoder encoder_;
  std::optional<Leveller> leveller_;
  std::optional<Limiter> limiter_;
  std::optional<LoudnessMeter> meter_;
  std::vector<float> converted_;
  std::vector<float> faded_;
  std::vector<float> limited_;
};

std::string in_errors(const std::string& path) { return "cannot write '" + path + "'"; }

}  // namespace

std::unique_ptr<AudioWriter> AudioWriter::open(const std::string& path, int sample_rate_hz,
                                               const AudioOutputOptions& options) {
  (void)encoder_spec(path, in_errors(path), sample_rate_hz, options);  // before a device is opened or a file created
  auto file = std::make_unique<FileSink>(path);
  FileSink& sink = *file;
  return std::make_unique<Writer>(std::move(file), sink, path, in_errors(path), sample_rate_hz, options);
}

std::unique_ptr<AudioWriter> AudioWriter::open(SoundSink& sink, const std::string& where, int sample_rate_hz,
                                               const AudioOutputOptions& options) {
  return std::make_unique<Writer>(nullptr, sink, "", "cannot write " + where, sample_rate_hz, options);
}

void check_audio_output(const std::string& path, int sample_rate_hz, const AudioOutputOptions& options) {
  check_encoding(encoder_spec(path, in_errors(path), sample_rate_hz, options), Seekable::kYes, in_errors(path));
  std::error_code error;
  const bool is_special = std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
  if (!is_special) AtomicFile file(path);  // not committed: leaves nothing. Opening a pipe twice would end its reader
}

void check_audio_output(const SoundSink& sink, const std::string& where, int sample_rate_hz,
                        const AudioOutputOptions& options) {
  const std::string in_error = "cannot write " + where;
  check_encoding(encoder_spec("", in_error, sample_rate_hz, options), sink.can_seek() ? Seekable::kYes : Seekable::kNo,
                 in_error);
}

AudioSummary write_audio(const std::string& path, const Audio& audio, const AudioOutputOptions& options) {
  const auto writer = AudioWriter::open(path, audio.sample_rate_hz, options);
  writer->push(audio.samples);
  return writer->finish();
}

void write_audio(const std::string& path, const Audio& audio, SampleFormat format) {
  AudioOutputOptions options;
  options.samples = format;
  (void)write_audio(path, audio, options);
}

void check_audio_path(const std::string& path, int sample_rate_hz, SampleFormat format) {
  AudioOutputOptions options;
  options.samples = format;
  check_audio_output(path, sample_rate_hz, options);
}

}  // namespace csm
