// Sound on the loudspeaker while it is being made.
//
// A Player belongs to one thread; the sound card takes its samples on a thread of its own, from a buffer of a minute.
// It never stutters: it starts when a fifth of a second is there (or all of it), and when the buffer runs empty before
// the end it pauses, softly, until half a second is there again.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace csm {

class Player {
 public:
  // Opens the default output device, at this rate or, where it lacks that, at its own.
  // Errors: kNotFound (no sound card), kIo (it does not start), kUnsupported (csm.cpp was built without playback).
  static std::unique_ptr<Player> open(int sample_rate_hz);
  // Silence at once; what was not heard yet is dropped.
  virtual ~Player() = default;

  // Takes as many samples as there is room for and returns how many; waits up to a tenth of a second for room. Errors:
  // kIo when the device has stopped, kInvalidArgument (not finite).
  virtual size_t push(std::span<const float> samples) = 0;
  // No samples follow.
  virtual void finish() = 0;
  // True when all has been heard; waits up to a tenth of a second for it. Errors: as push.
  virtual bool heard_all() = 0;
  // How often the buffer ran empty before the end.
  virtual int n_pauses() const = 0;
  virtual std::string device() const = 0;  // as the system names it
};

}  // namespace csm
