// WAV to a pipe: a header whose sizes are not known yet, then samples as they come.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "audio/audio_io.h"
#include "audio/containers.h"
#include "base/fail.h"

namespace csm {
namespace {

constexpr uint32_t kUnknownSize = 0xFFFFFFFF;

// The chunks of a LIST INFO that libsndfile reads, and most players.
struct InfoChunk {
  const char* tag;
  const char* letters;
};
constexpr InfoChunk kInfoChunks[] = {{"title", "INAM"},   {"artist", "IART"},   {"album", "IPRD"},
                                     {"comment", "ICMT"}, {"software", "ISFT"}, {"copyright", "ICOP"},
                                     {"date", "ICRD"},    {"genre", "IGNR"},    {"track", "ITRK"}};

void append_little_endian(std::string& bytes, uint32_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
}

// Texts end with a zero byte, and chunks have even lengths.
std::string info_list(const std::vector<std::pair<std::string, std::string>>& tags) {
  std::string list = "INFO";
  for (const auto& [name, value] : tags) {
    const auto* chunk = std::find_if(std::begin(kInfoChunks), std::end(kInfoChunks),
                                     [&, tag = name](const InfoChunk& known) { return tag == known.tag; });
    if (chunk == std::end(kInfoChunks)) {
      fail(ErrorCode::kUnsupported, "cannot write a WAV stream: it has no place for the tag '{}'", name);
    }
    list += chunk->letters;
    append_little_endian(list, static_cast<uint32_t>(value.size() + 1), 4);
    list += value + '\0';
    if (list.size() % 2 != 0) list += '\0';
  }
  std::string bytes = "LIST";
  append_little_endian(bytes, static_cast<uint32_t>(list.size()), 4);
  return bytes + list;
}

}  // namespace

int32_t to_integer(double sample, int bits, double noise) {
  const double scale = std::ldexp(1.0, bits - 1);
  return static_cast<int32_t>(std::clamp(std::rint(std::clamp(sample, -1.0, 1.0) * scale + noise), -scale, scale - 1));
}

void check_finite(std::span<const float> samples, const std::string& where) {
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float sample) { return !std::isfinite(sample); });
  if (bad == samples.end()) return;
  fail(ErrorCode::kInvalidArgument, "cannot write '{}': sample {} is not finite", where, bad - samples.begin());
}

std::string wav_pipe_header(int sample_rate_hz, Coding coding, int bits,
                            const std::vector<std::pair<std::string, std::string>>& tags) {
  if (sample_rate_hz <= 0)
    fail(ErrorCode::kInvalidArgument, "cannot write a WAV stream: sample rate {} Hz", sample_rate_hz);
  const auto sample_bytes = static_cast<uint32_t>(bits / 8);
  std::string header = "RIFF";
  append_little_endian(header, kUnknownSize, 4);
  header += "WAVEfmt ";
  append_little_endian(header, 16, 4);                                // size of what follows
  append_little_endian(header, coding == Coding::kFloat ? 3 : 1, 2);  // IEEE float or PCM
  append_little_endian(header, 1, 2);                                 // channels
  append_little_endian(header, static_cast<uint32_t>(sample_rate_hz), 4);
  append_little_endian(header, static_cast<uint32_t>(sample_rate_hz) * sample_bytes, 4);  // bytes per second
  append_little_endian(header, sample_bytes, 2);                                          // block align
  append_little_endian(header, 8 * sample_bytes, 2);                                      // bits per sample
  if (!tags.empty()) header += info_list(tags);
  header += "data";
  append_little_endian(header, kUnknownSize, 4);
  return header;
}

std::string wav_stream_header(int sample_rate_hz, SampleFormat format) {
  return wav_pipe_header(sample_rate_hz, is_float(format) ? Coding::kFloat : Coding::kInteger, bits_of(format), {});
}

std::string wav_sample_bytes(const float* samples, size_t n_samples, SampleFormat format) {
  const std::span<const float> all(samples, n_samples);
  check_finite(all, "WAV stream");
  const int bits = bits_of(format);
  std::string bytes;
  bytes.reserve(n_samples * static_cast<size_t>(bits / 8));
  for (const float sample : all) {
    const uint32_t value = is_float(format) ? std::bit_cast<uint32_t>(sample)
                                            : static_cast<uint32_t>(to_integer(static_cast<double>(sample), bits, 0));
    append_little_endian(bytes, value, bits / 8);
  }
  return bytes;
}

}  // namespace csm
