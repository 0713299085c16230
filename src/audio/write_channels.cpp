// Sound of several channels -> a file, through libsndfile into memory. One channel goes the way of write_audio.
#include <algorithm>
#include <cstring>
#include <vector>

#include "audio/audio_io.h"
#include "audio/containers.h"
#include "audio/sound_file.h"
#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr size_t kBlockFrames = 1'024;  // some of libsndfile's encoders take blocks of any size on the stack

struct Memory {
  std::vector<char> bytes;
  size_t position = 0;
};

sf_count_t memory_length(void* user) { return static_cast<sf_count_t>(static_cast<Memory*>(user)->bytes.size()); }

sf_count_t memory_seek(sf_count_t offset, int whence, void* user) {
  auto& memory = *static_cast<Memory*>(user);
  const sf_count_t here = static_cast<sf_count_t>(memory.position);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? here : memory_length(user);
  if (base + offset >= 0) memory.position = static_cast<size_t>(base + offset);
  return static_cast<sf_count_t>(memory.position);
}

sf_count_t memory_read(void* out, sf_count_t n_bytes, void* user) {
  auto& memory = *static_cast<Memory*>(user);
  const size_t left = memory.bytes.size() - std::min(memory.position, memory.bytes.size());
  const size_t n = std::min(static_cast<size_t>(std::max<sf_count_t>(n_bytes, 0)), left);
  if (n > 0) std::memcpy(out, memory.bytes.data() + memory.position, n);
  memory.position += n;
  return static_cast<sf_count_t>(n);
}

sf_count_t memory_write(const void* data, sf_count_t n_bytes, void* user) {
  auto& memory = *static_cast<Memory*>(user);
  const auto n = static_cast<size_t>(n_bytes);
  try {  // an exception must not pass through C
    memory.bytes.resize(std::max(memory.bytes.size(), memory.position + n));
  } catch (const std::exception&) {
    return 0;
  }
  if (n > 0) std::memcpy(memory.bytes.data() + memory.position, data, n);
  memory.position += n;
  return n_bytes;
}

sf_count_t memory_tell(void* user) { return static_cast<sf_count_t>(static_cast<Memory*>(user)->position); }

// A block of all channels, interleaved. Integers are clipped.
bool write_block(SNDFILE* file, const std::vector<float>& block, sf_count_t n_frames, int bits) {
  if (bits == 0) return sf_writef_float(file, block.data(), n_frames) == n_frames;
  std::vector<int> integers(block.size());
  for (size_t i = 0; i < block.size(); ++i) {
    const auto sample = static_cast<uint32_t>(to_integer(static_cast<double>(block[i]), bits, 0));
    integers[i] = static_cast<int>(sample << (32 - bits));
  }
  return sf_writef_int(file, integers.data(), n_frames) == n_frames;
}

std::vector<char> encode(const std::string& path, const ChannelAudio& audio, SF_INFO info, int bits) {
  Memory memory;
  SF_VIRTUAL_IO io{memory_length, memory_seek, memory_read, memory_write, memory_tell};
  SoundFile file(sf_open_virtual(&io, SFM_WRITE, &info, &memory));
  if (file == nullptr) {
    fail(ErrorCode::kUnsupported, "cannot write '{}' with {} channels at {} Hz: {}", path, info.channels,
         info.samplerate, sf_strerror(nullptr));
  }
  // The chunk carries the time of day: the same samples would give other bytes each second.
  sf_command(file.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
  sf_command(file.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  const size_t n_channels = audio.channels.size(), n_frames = audio.channels.front().size();
  std::vector<float> block;
  bool complete = true;
  for (size_t begin = 0; complete && begin < n_frames; begin += kBlockFrames) {
    const size_t n = std::min(kBlockFrames, n_frames - begin);
    block.clear();
    for (size_t i = begin; i < begin + n; ++i) {
      for (size_t channel = 0; channel < n_channels; ++channel) block.push_back(audio.channels[channel][i]);
    }
    complete = write_block(file.get(), block, static_cast<sf_count_t>(n), bits);
  }
  const std::string reason = sf_strerror(file.get());
  const bool closed = sf_close(file.release()) == 0;
  if (!complete || !closed) fail(ErrorCode::kIo, "cannot encode '{}': {}", path, reason);
  return std::move(memory.bytes);
}

}  // namespace

void write_audio_channels(const std::string& path, const ChannelAudio& audio, SampleFormat format) {
  if (audio.channels.size() == 1) return write_audio(path, {audio.channels.front(), audio.sample_rate_hz}, format);
  for (const std::vector<float>& channel : audio.channels) check_finite(channel, path);
  const Container& container = choose_container("", path);
  SF_INFO info{};
  info.channels = static_cast<int>(audio.channels.size());
  info.samplerate = audio.sample_rate_hz;
  info.format = sound_format(container, format, "cannot write '" + path + "'");
  if (sf_format_check(&info) == 0) {
    fail(ErrorCode::kUnsupported, "cannot write '{}': {} does not hold {} channels at {} Hz", path, container.name,
         info.channels, info.samplerate);
  }
  const int bits = container.has_coding || is_float(format) ? 0 : bits_of(format);
  AtomicFile file(path);  // first, so that a missing directory is found before the work of encoding
  const std::vector<char> bytes = encode(path, audio, info, bits);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace csm
