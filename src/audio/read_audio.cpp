// Audio files -> mono samples, through libsndfile's virtual input over bytes in memory.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "audio/audio_io.h"
#include "audio/riff_check.h"
#include "audio/sound_file.h"
#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr size_t kBlockSamples = 65'536;  // over all channels

struct Source {
  std::span<const std::byte> bytes;
  sf_count_t position = 0;
};

sf_count_t source_length(void* user) { return static_cast<sf_count_t>(static_cast<Source*>(user)->bytes.size()); }

sf_count_t source_seek(sf_count_t offset, int whence, void* user) {
  auto& source = *static_cast<Source*>(user);
  const sf_count_t length = source_length(user);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source.position : length;
  // Damaged headers lead anywhere; compared this way round nothing overflows.
  if (offset >= -base && offset <= length - base) source.position = base + offset;
  return source.position;
}

sf_count_t source_read(void* out, sf_count_t n_bytes, void* user) {
  auto& source = *static_cast<Source*>(user);
  n_bytes = std::clamp<sf_count_t>(n_bytes, 0, source_length(user) - source.position);
  if (n_bytes > 0) std::memcpy(out, source.bytes.data() + source.position, static_cast<size_t>(n_bytes));
  source.position += n_bytes;
  return n_bytes;
}

sf_count_t source_write(const void*, sf_count_t, void*) { return 0; }

sf_count_t source_tell(void* user) { return static_cast<Source*>(user)->position; }

void check_info(const SF_INFO& info, const std::string& where) {
  if (info.channels < 1 || info.channels > kMaxChannels) {
    fail(ErrorCode::kInvalidData, "'{}': expected 1 to {} channels, found {}", where, kMaxChannels, info.channels);
  }
  if (info.samplerate < kMinSampleRateHz || info.samplerate > kMaxSampleRateHz) {
    fail(ErrorCode::kInvalidData, "'{}': expected a sample rate of {} to {} Hz, found {}", where, kMinSampleRateHz,
         kMaxSampleRateHz, info.samplerate);
  }
}

// Samples of all channels as they come from the file: keep(frame) is given one sample of each. The header's frame count is
// a claim, so they are read until they end, under our own bound.
template <typename Keep>
void read_frames(SNDFILE* file, const SF_INFO& info, const std::string& where, int64_t max_samples, const Keep& keep) {
  const auto n_channels = static_cast<size_t>(info.channels);
  const size_t block_frames = kBlockSamples / n_channels;
  std::vector<double> block(block_frames * n_channels);
  int64_t n_so_far = 0;
  for (;;) {
    const sf_count_t n_read = sf_readf_double(file, block.data(), static_cast<sf_count_t>(block_frames));
    if (n_read <= 0) return;
    const size_t n_frames = std::min(static_cast<size_t>(n_read), block_frames);
    n_so_far += static_cast<int64_t>(n_frames);
    if (n_so_far > max_samples) {
      fail(ErrorCode::kResourceLimit, "'{}' is longer than {} samples ({:.0f} minutes); cut it", where, max_samples,
           static_cast<double>(max_samples) / info.samplerate / 60);
    }
    for (size_t i = 0; i < n_frames; ++i) keep(std::span<const double>(&block[i * n_channels], n_channels));
  }
}

float finite_sample(double value, size_t index, const std::string& where) {
  const auto sample = static_cast<float>(value);
  if (!std::isfinite(sample)) fail(ErrorCode::kInvalidData, "'{}': sample {} is not finite", where, index);
  return sample;
}

// Opens the bytes and gives their frames to keep.
template <typename Keep>
int read_bytes(std::span<const std::byte> bytes, const std::string& where, const Keep& keep) {
  if (bytes.empty()) fail(ErrorCode::kInvalidData, "'{}' is empty; expected an audio file", where);
  if (begins_with_riff(bytes)) check_riff_wave(bytes, where);
  Source source{bytes};
  SF_VIRTUAL_IO io{source_length, source_seek, source_read, source_write, source_tell};
  SF_INFO info{};
  const SoundFile file(sf_open_virtual(&io, SFM_READ, &info, &source));
  if (file == nullptr) {
    fail(ErrorCode::kInvalidData, "'{}' cannot be read as audio (WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF): {}", where,
         sf_strerror(nullptr));
  }
  check_info(info, where);
  size_t n_frames = 0;
  read_frames(file.get(), info, where, std::min(kMaxSamples, int64_t{kMaxSeconds} * info.samplerate),
              [&](std::span<const double> frame) { keep(frame, n_frames++); });
  if (n_frames == 0) {
    const char* reason = sf_error(file.get()) == SF_ERR_NO_ERROR ? "the file holds none" : sf_strerror(file.get());
    fail(ErrorCode::kInvalidData, "'{}': expected at least one sample, found 0 ({})", where, reason);
  }
  return info.samplerate;
}

}  // namespace

Audio read_audio_bytes(std::span<const std::byte> bytes, const std::string& where) {
  Audio audio;
  audio.sample_rate_hz = read_bytes(bytes, where, [&](std::span<const double> frame, size_t index) {
    double sum = 0;
    for (const double sample : frame) sum += sample;
    audio.samples.push_back(finite_sample(sum / static_cast<double>(frame.size()), index, where));
  });
  return audio;
}

ChannelAudio read_audio_channels(const std::string& path) {
  ChannelAudio audio;
  const auto keep = [&](std::span<const double> frame, size_t index) {
    if (index == 0) audio.channels.resize(frame.size());
    if (static_cast<int64_t>(index * frame.size()) > kMaxSamples) {
      fail(ErrorCode::kResourceLimit, "'{}' holds more than {} samples in its {} channels; cut it", path, kMaxSamples,
           frame.size());
    }
    for (size_t channel = 0; channel < frame.size(); ++channel) {
      audio.channels[channel].push_back(finite_sample(frame[channel], index, path));
    }
  };
  audio.sample_rate_hz = read_bytes(MappedFile::open(path)->bytes(), path, keep);
  return audio;
}

Audio read_audio(const std::string& path) { return read_audio_bytes(MappedFile::open(path)->bytes(), path); }

}  // namespace csm
