#include "audio/audio_library.h"

#include <sndfile.h>

namespace csm {

std::string audio_library_version() { return sf_version_string(); }

std::vector<std::string> audio_formats() {
  struct Format {
    const char* name;
    int format;
  };
  // Constants of libsndfile 1.1 are named by number where older headers lack them.
  constexpr int kMpeg = 0x230000;
  constexpr int kMpegLayer3 = 0x0082;
  constexpr int kOpus = 0x0064;
  constexpr Format kFormats[] = {{"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
                                 {"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
                                 {"ogg (vorbis)", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
                                 {"ogg (opus)", SF_FORMAT_OGG | kOpus},
                                 {"mp3", kMpeg | kMpegLayer3}};
  std::vector<std::string> names;
  for (const Format& format : kFormats) {
    SF_INFO info = {};
    info.samplerate = 24'000;
    info.channels = 1;
    info.format = format.format;
    if (sf_format_check(&info) != 0) names.push_back(format.name);
  }
  return names;
}

}  // namespace csm
