// The sound card, by PortAudio.
//
// Place in the flow: Player -> here -> the system. Opened, stopped and closed on one thread; `fill` is called on
// PortAudio's.
#pragma once

#include <functional>
#include <span>
#include <string>

namespace csm {

class PortAudioDevice {
 public:
  // Fills a block; false ends the sound after it.
  using Fill = std::function<bool(std::span<float>)>;

  // Finds the default output device. Errors: kNotFound, kIo.
  PortAudioDevice();
  ~PortAudioDevice();
  PortAudioDevice(const PortAudioDevice&) = delete;
  PortAudioDevice& operator=(const PortAudioDevice&) = delete;

  std::string name() const;
  bool takes(int sample_rate_hz) const;
  int own_rate_hz() const;
  void start(int sample_rate_hz, Fill fill);  // Errors: kIo
  void stop();                                // at once; `fill` is not called after it
  bool is_active() const;                     // false also after the sound has ended

 private:
  int device_ = -1;
  void* stream_ = nullptr;
  Fill fill_;
};

}  // namespace csm
