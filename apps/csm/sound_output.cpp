#include "sound_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flags.h"
#include "interrupt.h"

namespace csm::app {

// A file behind standard output gets right sizes in its header, as any other; a pipe cannot.
class SoundOutput::StandardOutput : public SoundSink {
 public:
  StandardOutput() {
    struct stat info {};
    const int mode = ::fcntl(STDOUT_FILENO, F_GETFL);
    const bool is_file = ::fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode);
    start_ = ::lseek(STDOUT_FILENO, 0, SEEK_CUR);
    can_seek_ = is_file && start_ >= 0 && mode >= 0 && (mode & O_APPEND) == 0;
  }
  void write(const void* data, size_t n_bytes) override { write_stdout(data, n_bytes); }
  bool can_seek() const override { return can_seek_; }
  void seek(uint64_t offset) override {
    if (::lseek(STDOUT_FILENO, start_ + static_cast<off_t>(offset), SEEK_SET) < 0) {
      throw Error(ErrorCode::kIo, "cannot move in the file behind standard output");
    }
  }

 private:
  bool can_seek_ = false;
  off_t start_ = 0;
};

AudioOutputOptions OutputSettings::audio(const std::vector<std::string>& tags) const {
  AudioOutputOptions options;
  options.format = format;
  options.sample_rate_hz = sample_rate_hz.value_or(0);
  options.fade_in_seconds = fade_in_seconds;
  options.fade_out_seconds = fade_out_seconds;
  options.loudness_lufs = loudness_lufs;
  options.peak_db = peak_db;
  options.true_peak_db = true_peak_db;
  options.samples = is_float || bits == "float" ? SampleFormat::kFloat32
                    : bits == "24"              ? SampleFormat::kInt24
                    : bits == "32"              ? SampleFormat::kInt32
                                                : SampleFormat::kInt16;
  options.dither = dither ? Dither::kTriangular : Dither::kNone;
  for (const std::string& tag : tags) {
    const size_t equals = tag.find('=');
    if (equals == std::string::npos) {
      throw UsageError(fmt::format("--tag: expected KEY=VALUE as title=\"A letter\", found '{}'", tag));
    }
    options.tags.emplace_back(tag.substr(0, equals), tag.substr(equals + 1));
  }
  check_usage([&] { options.validate(); });
  return options;
}

void add_tag_flag(CLI::App& app, SoundFlags& flags) {
  app.add_option("--tag", flags.tags,
                 "Words in the file: title, artist, album, comment, software, copyright, license, date, genre, track; "
                 "repeatable")
      ->type_name("KEY=VALUE")
      ->group("Output")
      ->allow_extra_args(false);
}

void add_play_flag(CLI::App& app, SoundFlags& flags) {
  app.add_flag("--play", flags.play, "Play it on the sound card while it is being made")->group("Output");
}

SoundOutput::SoundOutput(const SoundFlags& flags, const OutputSettings& settings, int sample_rate_hz)
    : flags_(flags), options_(settings.audio(flags.tags)), sample_rate_hz_(sample_rate_hz) {
  if (flags_.to_stdout()) {
    stdout_ = std::make_unique<StandardOutput>();
    check_audio_output(*stdout_, "standard output", sample_rate_hz, options_);
  } else if (!flags_.output.empty()) {
    check_audio_output(flags_.output, sample_rate_hz, options_);
  }
  if (!flags_.play) return;
  try {
    player_ = Player::open(sample_rate_hz);
  } catch (const Error& error) {
    if (flags_.output.empty()) throw;
    playback_error_ = error;
  }
}

SoundOutput::~SoundOutput() = default;

void SoundOutput::open_writer() {
  if (flags_.output.empty() || writer_ != nullptr) return;
  writer_ = stdout_ ? AudioWriter::open(*stdout_, "standard output", sample_rate_hz_, options_)
                    : AudioWriter::open(flags_.output, sample_rate_hz_, options_);
}

void SoundOutput::add(std::span<const float> samples) {
  n_samples_ += samples.size();
  open_writer();
  if (writer_) writer_->push(samples);
  if (player_) play(samples);
}

// The file goes on without the loudspeaker.
void SoundOutput::play(std::span<const float> samples) {
  try {
    while (!samples.empty()) {
      samples = samples.subspan(player_->push(samples));
      check_interrupt();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled || flags_.output.empty()) throw;
    playback_error_ = error;
    player_.reset();
  }
}

void SoundOutput::wait_until_heard() {
  try {
    player_->finish();
    while (!player_->heard_all()) check_interrupt();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    playback_error_ = error;
  }
}

void SoundOutput::finish() {
  if (n_samples_ == 0) {
    throw Error(
        ErrorCode::kInvalidData,
        "the model ended before its first frame, so there is nothing to write; try another --seed or --min-frames 1");
  }
  if (writer_) summary_ = writer_->finish();
  if (player_) wait_until_heard();
}

void SoundOutput::check_playback() const {
  if (playback_error_) throw Error(*playback_error_);
}

void add_summary(Json& document, const SoundOutput& sound) {
  const std::optional<AudioSummary>& summary = sound.summary();
  if (!summary) return;
  document["format"] = summary->format;
  document["sample_rate_hz"] = summary->sample_rate_hz;
  document["samples"] = summary->n_samples;
  document["clipped_samples"] = summary->n_clipped;
  if (summary->loudness_lufs) document["loudness_lufs"] = *summary->loudness_lufs;
  if (summary->true_peak_db) document["true_peak_db"] = *summary->true_peak_db;
  if (summary->gain_db != 0) document["gain_db"] = summary->gain_db;
}

}  // namespace csm::app
