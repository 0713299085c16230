// Another sample rate for sound that goes out, by libsoxr, as the samples come.
//
// Place in the flow: AudioWriter's and Player's first step. Context audio does not come here: it takes csm::resample,
// which is the reference's own formula (docs/decisions/0002-resampler.md). One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

struct soxr;

namespace csm {

class RateConverter {
 public:
  RateConverter(int from_hz, int to_hz);
  ~RateConverter();
  RateConverter(const RateConverter&) = delete;
  RateConverter& operator=(const RateConverter&) = delete;

  // Appends what is ready to `out`. In the end there are ceil(n * to / from) samples.
  void push(std::span<const float> samples, std::vector<float>& out);
  void finish(std::vector<float>& out);

 private:
  void process(const float* samples, size_t n_samples, std::vector<float>& out);

  int from_hz_;
  int to_hz_;
  struct soxr* soxr_ = nullptr;  // null when the rates are equal
  int64_t n_in_ = 0;
  int64_t n_out_ = 0;
};

}  // namespace csm
