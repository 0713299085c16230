// How loud sound is (EBU R128, by libebur128), and making it as loud as asked.
//
// Place in the flow: AudioWriter, between the fades and the encoder. One thread.
#pragma once

#include <csm/audio.h>
#include <ebur128.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "audio/limiter.h"
#include "audio/spool.h"

namespace csm {

class LoudnessMeter {
 public:
  enum class Measure { kLoudness, kLoudnessAndTruePeak };
  LoudnessMeter(int sample_rate_hz, Measure measure);
  ~LoudnessMeter();
  LoudnessMeter(const LoudnessMeter&) = delete;
  LoudnessMeter& operator=(const LoudnessMeter&) = delete;

  void add(std::span<const float> samples);
  // Integrated, in LUFS; unset for silence. A sound shorter than the standard's block of 0.4 s counts as if it were
  // repeated until it fills one.
  std::optional<double> integrated();
  std::optional<double> true_peak_db() const;  // dBTP

 private:
  void add_to_meter(std::span<const float> samples);

  ebur128_state* state_;
  size_t n_block_;            // samples of 0.4 s
  std::vector<float> first_;  // the first of them
  double true_peak_ = 0;
};

// Holds the whole sound, then gives it out at the loudness or peak that was asked for.
class Leveller {
 public:
  using Use = std::function<void(std::span<const float>)>;

  Leveller(const AudioOutputOptions& options, int sample_rate_hz);
  void push(std::span<const float> samples) { spool_.push(samples); }
  // The result in order; returns the gain in dB. Where the ceiling takes loudness away, the gain before it is raised
  // again until the result has the loudness asked for, or cannot.
  double finish(const Use& use);

 private:
  double gain_for_peak();
  double gain_for_loudness();
  void play(double gain_db, const Use& use);

  AudioOutputOptions options_;
  int sample_rate_hz_;
  Spool spool_;
};

// The ceiling that the options ask for, also by a loudness alone: amplitude; unset when there is none.
std::optional<double> ceiling_of(const AudioOutputOptions& options);

double to_amplitude(double db);
double to_db(double amplitude);

}  // namespace csm
