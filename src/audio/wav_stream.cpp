// WAV to a pipe: a header whose sizes are not known yet, then samples as they come.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "audio/audio_io.h"
#include "base/fail.h"

namespace csm {
namespace {

constexpr uint32_t kUnknownSize = 0xFFFFFFFF;

void append_little_endian(std::string& bytes, uint32_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
}

}  // namespace

int16_t to_int16(float sample) {
  return static_cast<int16_t>(
      std::clamp(std::lrint(static_cast<double>(std::clamp(sample, -1.0f, 1.0f)) * 32768), -32768L, 32767L));
}

void check_finite(std::span<const float> samples, const std::string& where) {
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float sample) { return !std::isfinite(sample); });
  if (bad == samples.end()) return;
  fail(ErrorCode::kInvalidArgument, "cannot write '{}': sample {} is not finite", where, bad - samples.begin());
}

std::string wav_stream_header(int sample_rate_hz, SampleFormat format) {
  if (sample_rate_hz <= 0)
    fail(ErrorCode::kInvalidArgument, "cannot write a WAV stream: sample rate {} Hz", sample_rate_hz);
  const bool is_float = format == SampleFormat::kFloat32;
  const uint32_t sample_bytes = is_float ? 4 : 2;
  std::string header = "RIFF";
  append_little_endian(header, kUnknownSize, 4);
  header += "WAVEfmt ";
  append_little_endian(header, 16, 4);                // size of what follows
  append_little_endian(header, is_float ? 3 : 1, 2);  // IEEE float or PCM
  append_little_endian(header, 1, 2);                 // channels
  append_little_endian(header, static_cast<uint32_t>(sample_rate_hz), 4);
  append_little_endian(header, static_cast<uint32_t>(sample_rate_hz) * sample_bytes, 4);  // bytes per second
  append_little_endian(header, sample_bytes, 2);                                          // block align
  append_little_endian(header, 8 * sample_bytes, 2);                                      // bits per sample
  header += "data";
  append_little_endian(header, kUnknownSize, 4);
  return header;
}

std::string wav_sample_bytes(const float* samples, size_t n_samples, SampleFormat format) {
  const std::span<const float> all(samples, n_samples);
  check_finite(all, "WAV stream");
  const bool is_float = format == SampleFormat::kFloat32;
  std::string bytes;
  bytes.reserve(n_samples * (is_float ? 4 : 2));
  for (const float sample : all) {
    if (is_float) {
      append_little_endian(bytes, std::bit_cast<uint32_t>(sample), 4);
    } else {
      append_little_endian(bytes, static_cast<uint16_t>(to_int16(sample)), 2);
    }
  }
  return bytes;
}

}  // namespace csm
