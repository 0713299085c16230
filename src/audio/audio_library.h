// What the audio library behind this folder is and can do, for `csm doctor`. Stateless; any thread.
#pragma once

#include <string>
#include <vector>

namespace csm {

// As "libsndfile-1.2.0".
std::string audio_library_version();

// The formats it writes, as file name endings with their coding: "wav", "flac", "ogg (vorbis)", "ogg (opus)", "mp3".
std::vector<std::string> audio_formats();

}  // namespace csm
