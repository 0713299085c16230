// Samples -> the bytes of one container, through libsndfile, into a SoundSink.
//
// Place in the flow: AudioWriter's last step. Owns nothing but its libsndfile handle; one thread.
#pragma once

#include <csm/audio.h>

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "audio/containers.h"
#include "audio/sound_file.h"

namespace csm {

using AudioTags = std::vector<std::pair<std::string, std::string>>;

bool is_tag_name(const std::string& name);
std::string tag_names();  // "title, artist, ..."

struct EncoderSpec {
  const Container* container = nullptr;
  int format = 0;  // sound_format()
  int sample_rate_hz = 0;
  Dither dither = Dither::kNone;
  AudioTags tags;
};

// Throws when libsndfile or the container cannot do this. `seekable`: whether the sink will be.
enum class Seekable { kNo, kYes };
void check_encoding(const EncoderSpec& spec, Seekable seekable, const std::string& where);

class Encoder {
 public:
  Encoder(EncoderSpec spec, SoundSink& sink, std::string where);
  ~Encoder();  // without finish(), nothing more is written
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // Clips to [-1, 1]. Errors: kIo, kResourceLimit (see AudioWriter::push).
  void write(std::span<const float> samples);
  void finish();
  int64_t n_samples() const { return n_samples_; }
  int64_t n_clipped() const { return n_clipped_; }

 private:
  // What libsndfile's callbacks see: a file that grows. Without a way back, bytes that would change earlier ones are
  // dropped.
  struct Bytes {
    SoundSink* sink = nullptr;
    bool can_seek = false;
    sf_count_t position = 0;
    sf_count_t length = 0;
    sf_count_t sink_position = 0;
    std::exception_ptr error = nullptr;  // exceptions must not pass through C
  };
  static sf_count_t length(void* user);
  static sf_count_t seek(sf_count_t offset, int whence, void* user);
  static sf_count_t read(void* out, sf_count_t n_bytes, void* user);
  static sf_count_t write(const void* data, sf_count_t n_bytes, void* user);
  static sf_count_t tell(void* user);

  void open();
  void set_tags();
  void write_block(std::span<const float> block);
  int quantised(float sample);
  [[noreturn]] void fail_encoding(const std::string& reason);

  EncoderSpec spec_;
  std::string where_;
  Bytes bytes_;
  SoundFile file_;
  int bits_;  // of integer samples; 0 = float or lossy
  std::vector<int> integers_;
  std::vector<float> floats_;
  int64_t n_samples_ = 0;
  int64_t n_clipped_ = 0;
};

}  // namespace csm
