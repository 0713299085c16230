// Samples -> audio files. libsndfile encodes into memory; the bytes then go out through AtomicFile, so that pipes
// (which cannot seek) work and a full disk is one clear error.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <vector>

#include "audio/audio_io.h"
#include "audio/sound_file.h"
#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr size_t kBlockSamples = 4'096;  // some of libsndfile's encoders take blocks of any size on the stack

// What the file name asks for. A codec of its own (Vorbis, Opus, MP3) leaves no choice of sample format.
struct Container {
  const char* extension;
  int format;
  bool lossy;
  bool holds_float;
};

constexpr Container kContainers[] = {
    {"wav", SF_FORMAT_WAV, false, true},
    {"flac", SF_FORMAT_FLAC, false, false},
    {"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, true, true},
    {"oga", SF_FORMAT_OGG | SF_FORMAT_VORBIS, true, true},
    {"opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, true, true},
    {"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, true, true},
    {"aiff", SF_FORMAT_AIFF, false, true},
    {"aif", SF_FORMAT_AIFF, false, true},
    {"au", SF_FORMAT_AU, false, true},
    {"caf", SF_FORMAT_CAF, false, true},
    {"w64", SF_FORMAT_W64, false, true},
};

struct Sink {
  std::vector<char> bytes;
  size_t position = 0;
};

sf_count_t sink_length(void* user) { return static_cast<sf_count_t>(static_cast<Sink*>(user)->bytes.size()); }

sf_count_t sink_seek(sf_count_t offset, int whence, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const sf_count_t base = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? static_cast<sf_count_t>(sink.position)
                                               : sink_length(user);
  if (base + offset >= 0) sink.position = static_cast<size_t>(base + offset);
  return static_cast<sf_count_t>(sink.position);
}

sf_count_t sink_read(void* out, sf_count_t n_bytes, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const size_t left = sink.bytes.size() - std::min(sink.position, sink.bytes.size());
  const size_t n = std::min(static_cast<size_t>(std::max<sf_count_t>(n_bytes, 0)), left);
  if (n > 0) std::memcpy(out, sink.bytes.data() + sink.position, n);
  sink.position += n;
  return static_cast<sf_count_t>(n);
}

sf_count_t sink_write(const void* data, sf_count_t n_bytes, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const auto n = static_cast<size_t>(std::max<sf_count_t>(n_bytes, 0));
  try {  // an exception must not pass through C
    if (sink.position + n > sink.bytes.size()) sink.bytes.resize(sink.position + n);
  } catch (const std::exception&) {
    return 0;
  }
  if (n > 0) std::memcpy(sink.bytes.data() + sink.position, data, n);
  sink.position += n;
  return n_bytes;
}

sf_count_t sink_tell(void* user) { return static_cast<sf_count_t>(static_cast<Sink*>(user)->position); }

const Container& container_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  if (extension.empty()) return kContainers[0];
  extension.erase(0, 1);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string known;
  for (const Container& container : kContainers) {
    if (extension == container.extension) return container;
    known += std::string(known.empty() ? "" : ", ") + container.extension;
  }
  fail(ErrorCode::kUnsupported, "cannot write '{}': no audio format is called '.{}'; expected one of {}", path,
       extension, known);
}

SF_INFO output_info(const std::string& path, const Audio& audio, SampleFormat format) {
  const Container& container = container_of(path);
  if (format == SampleFormat::kFloat32 && !container.holds_float) {
    fail(ErrorCode::kUnsupported, "cannot write '{}': {} holds no float32 samples; use int16, or a .wav file", path,
         container.extension);
  }
  SF_INFO info{};
  info.channels = 1;
  info.samplerate = audio.sample_rate_hz;
  info.format = container.format;
  if (!container.lossy) info.format |= format == SampleFormat::kFloat32 ? SF_FORMAT_FLOAT : SF_FORMAT_PCM_16;
  if (sf_format_check(&info) == 0) {
    fail(ErrorCode::kUnsupported, "cannot write '{}': this build's libsndfile cannot make {} at {} Hz", path,
         container.extension, audio.sample_rate_hz);
  }
  return info;
}

// False when libsndfile took less than it was given.
bool write_block(SNDFILE* file, const SF_INFO& info, std::span<const float> block) {
  const auto n = static_cast<sf_count_t>(block.size());
  const int encoding = info.format & SF_FORMAT_SUBMASK;
  if (encoding == SF_FORMAT_FLOAT) return sf_writef_float(file, block.data(), n) == n;
  if (encoding == SF_FORMAT_PCM_16) {
    std::vector<short> integers(block.size());
    std::transform(block.begin(), block.end(), integers.begin(), to_int16);
    return sf_writef_short(file, integers.data(), n) == n;
  }
  std::vector<float> clipped(block.size());
  std::transform(block.begin(), block.end(), clipped.begin(), [](float x) { return std::clamp(x, -1.0f, 1.0f); });
  return sf_writef_float(file, clipped.data(), n) == n;
}

std::vector<char> encode(const std::string& path, const Audio& audio, SF_INFO info) {
  Sink sink;
  SF_VIRTUAL_IO io{sink_length, sink_seek, sink_read, sink_write, sink_tell};
  SoundFile file(sf_open_virtual(&io, SFM_WRITE, &info, &sink));
  if (file == nullptr) {
    fail(ErrorCode::kUnsupported, "cannot write '{}' at {} Hz: {}", path, audio.sample_rate_hz, sf_strerror(nullptr));
  }
  // The chunk carries the time of day: the same samples would give other bytes each second.
  sf_command(file.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
  bool complete = true;
  for (size_t start = 0; complete && start < audio.samples.size(); start += kBlockSamples) {
    const size_t n = std::min(kBlockSamples, audio.samples.size() - start);
    complete = write_block(file.get(), info, std::span(audio.samples).subspan(start, n));
  }
  const std::string reason = sf_strerror(file.get());
  const bool closed = sf_close(file.release()) == 0;
  if (!complete || !closed) fail(ErrorCode::kIo, "cannot encode '{}': {}", path, reason);
  return std::move(sink.bytes);
}

}  // namespace

void check_audio_path(const std::string& path, int sample_rate_hz, SampleFormat format) {
  Audio audio;
  audio.sample_rate_hz = sample_rate_hz;
  (void)output_info(path, audio, format);
  std::error_code error;
  const bool is_special = std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
  if (!is_special) AtomicFile file(path);  // not committed: leaves nothing. Opening a pipe twice would end its reader
}

void write_audio(const std::string& path, const Audio& audio, SampleFormat format) {
  if (audio.sample_rate_hz <= 0) {
    fail(ErrorCode::kInvalidArgument, "cannot write '{}': sample rate {} Hz", path, audio.sample_rate_hz);
  }
  check_finite(audio.samples, path);
  const SF_INFO info = output_info(path, audio, format);
  AtomicFile file(path);  // first, so that a missing directory is found before the work of encoding
  const std::vector<char> bytes = encode(path, audio, info);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace csm
