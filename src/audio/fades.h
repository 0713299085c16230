// Fade-in and fade-out of a stream whose length is not known: the last samples are held back until the end comes.
//
// Place in the flow: AudioWriter, after the rate. The curve is a raised cosine. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace csm {

class Fades {
 public:
  Fades(int64_t n_in, int64_t n_out) : n_in_(n_in), n_out_(n_out) {}

  void push(std::span<const float> samples, std::vector<float>& out);
  void finish(std::vector<float>& out);

 private:
  int64_t n_in_;
  int64_t n_out_;
  int64_t n_samples_ = 0;
  std::deque<float> held_;
};

}  // namespace csm
