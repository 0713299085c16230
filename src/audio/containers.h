// The kinds of audio file that csm.cpp writes: names, what each can hold, and whether this build's libsndfile makes it.
//
// Place in the flow: output options and a file name -> a container -> Encoder. Constant tables; any thread.
#pragma once

#include <csm/audio.h>

#include <string>
#include <vector>

namespace csm {

struct Container {
  const char* name;
  const char* extensions;  // separated by spaces
  const char* text;
  int format;               // libsndfile's container, with the coding where there is only one
  bool has_coding = false;  // leaves no choice of sample format: lossy, or fixed by the name
  bool holds_float = true;
  int max_bits = 32;  // of integer samples
  bool holds_tags = true;
  bool streams = true;  // can be written without a way back
  bool sizes_are_32_bit = false;
};

// The format that was asked for, else that of the path's ending; "" and a path without one mean WAV.
// Errors: kUnsupported, with the names that exist.
const Container& choose_container(const std::string& format, const std::string& path);

// The rate nearest above that the container has, for Opus and MP3; others have all rates.
int container_rate(const Container& container, int sample_rate_hz);

// libsndfile's format word. Errors: kUnsupported (the container holds no such samples). `where` begins with "cannot
// write".
int sound_format(const Container& container, SampleFormat samples, const std::string& where);

// False when libsndfile was built without it.
bool is_available(const Container& container);

int bits_of(SampleFormat samples);  // 16, 24 or 32
bool is_float(SampleFormat samples);

// As "libsndfile-1.2.0", and the names of the formats that it writes: for `csm doctor`.
std::string audio_library_version();
std::vector<std::string> audio_formats();

}  // namespace csm
