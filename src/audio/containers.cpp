#include "audio/containers.h"

#include <sndfile.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <sstream>

#include "base/fail.h"

namespace csm {
namespace {

constexpr int kRaw = SF_FORMAT_RAW | SF_ENDIAN_LITTLE;

constexpr Container kContainers[] = {
    {.name = "wav",
     .extensions = "wav",
     .text = "WAV: 16, 24, 32 bits or float",
     .format = SF_FORMAT_WAV,
     .sizes_are_32_bit = true},
    {.name = "flac",
     .extensions = "flac",
     .text = "FLAC, lossless: 16 or 24 bits",
     .format = SF_FORMAT_FLAC,
     .holds_float = false,
     .max_bits = 24},
    {.name = "ogg",
     .extensions = "ogg oga",
     .text = "Ogg Vorbis",
     .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS,
     .has_coding = true},
    {.name = "opus",
     .extensions = "opus",
     .text = "Ogg Opus: 8, 12, 16, 24 or 48 kHz",
     .format = SF_FORMAT_OGG | SF_FORMAT_OPUS,
     .has_coding = true},
    {.name = "mp3",
     .extensions = "mp3",
     .text = "MP3: nine rates from 8 to 48 kHz",
     .format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III,
     .has_coding = true},
    {.name = "aiff",
     .extensions = "aiff aif",
     .text = "AIFF: 16, 24, 32 bits or float",
     .format = SF_FORMAT_AIFF,
     .streams = false,
     .sizes_are_32_bit = true},
    {.name = "au",
     .extensions = "au snd",
     .text = "AU: 16, 24, 32 bits or float",
     .format = SF_FORMAT_AU,
     .holds_tags = false,
     .streams = false,
     .sizes_are_32_bit = true},
    {.name = "caf",
     .extensions = "caf",
     .text = "CAF: 16, 24, 32 bits or float",
     .format = SF_FORMAT_CAF,
     .streams = false},
    {.name = "w64",
     .extensions = "w64",
     .text = "Wave64, beyond 4 GiB",
     .format = SF_FORMAT_W64,
     .holds_tags = false,
     .streams = false},
    {.name = "rf64",
     .extensions = "rf64",
     .text = "RF64, WAV beyond 4 GiB",
     .format = SF_FORMAT_RF64,
     .streams = false},
    {.name = "raw",
     .extensions = "raw pcm",
     .text = "samples alone, little-endian: 16, 24, 32 bits or float",
     .format = kRaw,
     .holds_tags = false},
    {.name = "s16le",
     .extensions = "s16le",
     .text = "16-bit samples alone",
     .format = kRaw | SF_FORMAT_PCM_16,
     .has_coding = true,
     .holds_tags = false},
    {.name = "s24le",
     .extensions = "s24le",
     .text = "24-bit samples alone",
     .format = kRaw | SF_FORMAT_PCM_24,
     .has_coding = true,
     .holds_tags = false},
    {.name = "s32le",
     .extensions = "s32le",
     .text = "32-bit samples alone",
     .format = kRaw | SF_FORMAT_PCM_32,
     .has_coding = true,
     .holds_tags = false},
    {.name = "f32le",
     .extensions = "f32le",
     .text = "float samples alone",
     .format = kRaw | SF_FORMAT_FLOAT,
     .has_coding = true,
     .holds_tags = false},
};

constexpr int kOpusRates[] = {8'000, 12'000, 16'000, 24'000, 48'000};
constexpr int kMp3Rates[] = {8'000, 11'025, 12'000, 16'000, 22'050, 24'000, 32'000, 44'100, 48'000};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<std::string> words(const char* text) {
  std::istringstream stream(text);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

std::string known_names() {
  std::string names;
  for (const Container& container : kContainers) {
    if (is_available(container)) names += (names.empty() ? "" : ", ") + std::string(container.name);
  }
  return names;
}

const Container* by_name(const std::string& name) {
  const auto it = std::find_if(std::begin(kContainers), std::end(kContainers),
                               [&](const Container& container) { return name == container.name; });
  return it == std::end(kContainers) ? nullptr : &*it;
}

const Container* by_extension(const std::string& extension) {
  for (const Container& container : kContainers) {
    const std::vector<std::string> extensions = words(container.extensions);
    if (std::find(extensions.begin(), extensions.end(), extension) != extensions.end()) return &container;
  }
  return nullptr;
}

template <size_t n>
int at_least(const int (&rates)[n], int rate_hz) {
  const int* rate = std::lower_bound(rates, rates + n, rate_hz);
  return rate == rates + n ? rates[n - 1] : *rate;
}

}  // namespace

const Container& choose_container(const std::string& format, const std::string& path) {
  const Container* container = &kContainers[0];
  if (!format.empty()) {
    container = by_name(lower(format));
    if (container == nullptr) {
      fail(ErrorCode::kUnsupported, "no audio format is called '{}'; expected one of {}", format, known_names());
    }
  } else if (const std::string ending = std::filesystem::path(path).extension().string(); ending.size() > 1) {
    container = by_extension(lower(ending.substr(1)));
    if (container == nullptr) {
      fail(ErrorCode::kUnsupported, "cannot write '{}': no audio format is called '{}'; expected one of {}", path,
           ending, known_names());
    }
  }
  if (!is_available(*container)) {
    fail(ErrorCode::kUnsupported, "this build's {} cannot write {}; it writes {}", audio_library_version(),
         container->name, known_names());
  }
  return *container;
}

int container_rate(const Container& container, int sample_rate_hz) {
  const int coding = container.format & SF_FORMAT_SUBMASK;
  if (coding == SF_FORMAT_OPUS) return at_least(kOpusRates, sample_rate_hz);
  if (coding == SF_FORMAT_MPEG_LAYER_III) return at_least(kMp3Rates, sample_rate_hz);
  return sample_rate_hz;
}

int sound_format(const Container& container, SampleFormat samples, const std::string& where) {
  if (container.has_coding) return container.format;
  if (is_float(samples)) {
    if (container.holds_float) return container.format | SF_FORMAT_FLOAT;
    fail(ErrorCode::kUnsupported, "{}: {} holds no float samples; use 16 or 24 bits, or a .wav file", where,
         container.name);
  }
  const int bits = bits_of(samples);
  if (bits > container.max_bits) {
    fail(ErrorCode::kUnsupported, "{}: {} holds at most {} bits, not {}", where, container.name, container.max_bits,
         bits);
  }
  return container.format | (bits == 16 ? SF_FORMAT_PCM_16 : bits == 24 ? SF_FORMAT_PCM_24 : SF_FORMAT_PCM_32);
}

bool is_available(const Container& container) {
  SF_INFO info{};
  info.samplerate = 24'000;
  info.channels = 1;
  info.format = container.has_coding ? container.format : container.format | SF_FORMAT_PCM_16;
  return sf_format_check(&info) != 0;
}

int bits_of(SampleFormat samples) {
  return samples == SampleFormat::kInt16 ? 16 : samples == SampleFormat::kInt24 ? 24 : 32;
}

bool is_float(SampleFormat samples) { return samples == SampleFormat::kFloat32; }

std::vector<AudioFormat> audio_output_formats() {
  std::vector<AudioFormat> formats;
  for (const Container& container : kContainers) {
    if (is_available(container)) formats.push_back({container.name, words(container.extensions), container.text});
  }
  return formats;
}

std::string audio_library_version() { return sf_version_string(); }

std::vector<std::string> audio_formats() {
  std::vector<std::string> names;
  for (const AudioFormat& format : audio_output_formats()) names.push_back(format.name);
  return names;
}

}  // namespace csm
