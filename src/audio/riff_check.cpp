// WAV: "RIFF" size "WAVE", then chunks: four letters, 32-bit size, bytes, one byte of padding after an odd size.
// "fmt ": format tag u16, channels u16, rate u32, bytes per second u32, block align u16, bits u16; the extensible form
// (tag 0xFFFE, 40 bytes) has the real tag at byte 24. "data": the samples. All little-endian.
#include "audio/riff_check.h"

#include <cstdint>
#include <cstring>

#include "audio/audio_io.h"
#include "base/fail.h"

namespace csm {
namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kRiffHeaderBytes = 12;
constexpr size_t kChunkHeaderBytes = 8;
constexpr size_t kFmtBytes = 16;
constexpr size_t kExtensibleFmtBytes = 40;

constexpr uint32_t kTagPcm = 0x0001;
constexpr uint32_t kTagMicrosoftAdpcm = 0x0002;
constexpr uint32_t kTagIeeeFloat = 0x0003;
constexpr uint32_t kTagALaw = 0x0006;
constexpr uint32_t kTagMuLaw = 0x0007;
constexpr uint32_t kTagImaAdpcm = 0x0011;
constexpr uint32_t kTagExtensible = 0xFFFE;

uint32_t little_endian(Bytes bytes, size_t offset, size_t n_bytes) {
  uint32_t value = 0;
  for (size_t i = n_bytes; i-- > 0;) value = value << 8 | std::to_integer<uint32_t>(bytes[offset + i]);
  return value;
}

bool has_letters(Bytes bytes, size_t offset, const char* letters) {
  return bytes.size() >= offset + 4 && std::memcmp(bytes.data() + offset, letters, 4) == 0;
}

void check_sample_layout(uint32_t tag, uint32_t channels, uint32_t align, uint32_t bits, const std::string& where) {
  switch (tag) {
    case kTagPcm:
      if (bits < 8 || bits > 32)
        fail(ErrorCode::kInvalidData, "'{}': expected 8 to 32 bits per sample, found {}", where, bits);
      break;
    case kTagIeeeFloat:
      if (bits == 32 || bits == 64) break;
      fail(ErrorCode::kInvalidData, "'{}': expected 32 or 64 bits per float sample, found {}", where, bits);
    case kTagALaw:
    case kTagMuLaw:
    case kTagMicrosoftAdpcm:
    case kTagImaAdpcm:
      return;  // their layout is the codec's own affair
    default:
      fail(ErrorCode::kUnsupported,
           "'{}': WAV format tag {:#06x} is not supported; expected PCM, float, A-law, mu-law or ADPCM: convert the "
           "file",
           where, tag);
  }
  const uint32_t expected = channels * ((bits + 7) / 8);
  if (align != expected) {
    fail(ErrorCode::kInvalidData, "'{}': {} channels of {} bits need a block of {} bytes, the header says {}", where,
         channels, bits, expected, align);
  }
}

void check_fmt(Bytes fmt, const std::string& where) {
  if (fmt.size() < kFmtBytes) {
    fail(ErrorCode::kInvalidData, "'{}': WAV fmt chunk has {} bytes, expected at least {}", where, fmt.size(),
         kFmtBytes);
  }
  uint32_t tag = little_endian(fmt, 0, 2);
  if (tag == kTagExtensible) {
    if (fmt.size() < kExtensibleFmtBytes) {
      fail(ErrorCode::kInvalidData, "'{}': extensible WAV fmt chunk has {} bytes, expected {}", where, fmt.size(),
           kExtensibleFmtBytes);
    }
    tag = little_endian(fmt, 24, 2);
  }
  const uint32_t channels = little_endian(fmt, 2, 2);
  if (channels < 1 || channels > static_cast<uint32_t>(kMaxChannels)) {
    fail(ErrorCode::kInvalidData, "'{}': expected 1 to {} channels, found {}", where, kMaxChannels, channels);
  }
  const uint32_t rate = little_endian(fmt, 4, 4);
  if (rate < static_cast<uint32_t>(kMinSampleRateHz) || rate > static_cast<uint32_t>(kMaxSampleRateHz)) {
    fail(ErrorCode::kInvalidData, "'{}': expected a sample rate of {} to {} Hz, found {}", where, kMinSampleRateHz,
         kMaxSampleRateHz, rate);
  }
  check_sample_layout(tag, channels, little_endian(fmt, 12, 2), little_endian(fmt, 14, 2), where);
}

}  // namespace

bool begins_with_riff(Bytes bytes) { return has_letters(bytes, 0, "RIFF"); }

void check_riff_wave(Bytes bytes, const std::string& where) {
  if (bytes.size() < kRiffHeaderBytes) {
    fail(ErrorCode::kInvalidData, "'{}' is cut off: a WAV file cannot have only {} bytes", where, bytes.size());
  }
  if (!has_letters(bytes, 8, "WAVE"))
    fail(ErrorCode::kInvalidData, "'{}' is a RIFF file, but holds no WAVE audio", where);
  bool found_fmt = false;
  for (size_t offset = kRiffHeaderBytes; offset + kChunkHeaderBytes <= bytes.size();) {
    const size_t size = little_endian(bytes, offset + 4, 4);
    const size_t left = bytes.size() - offset - kChunkHeaderBytes;
    if (has_letters(bytes, offset, "fmt ")) {
      if (size > left) fail(ErrorCode::kInvalidData, "'{}' is cut off inside its fmt chunk", where);
      check_fmt(bytes.subspan(offset + kChunkHeaderBytes, size), where);
      found_fmt = true;
    }
    if (has_letters(bytes, offset, "data")) {
      if (!found_fmt) fail(ErrorCode::kInvalidData, "'{}': WAV file has no fmt chunk before its data", where);
      return;
    }
    if (size > left) break;
    offset += kChunkHeaderBytes + size + size % 2;
  }
  fail(ErrorCode::kInvalidData, "'{}': WAV file has no {} chunk; it is cut off or damaged", where,
       found_fmt ? "data" : "fmt");
}

}  // namespace csm
