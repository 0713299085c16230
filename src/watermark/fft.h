// Fourier transform of real sequences of any even length, mixed radix (Stockham's order, no bit reversal).
//
// Place in the flow: the inside of embedder and detector. Lengths are fixed when it is made; forward() and inverse()
// allocate nothing. Not thread-safe: it owns its work space.
#pragma once

#include <span>
#include <vector>

namespace csm::mark {

class RealFft {
 public:
  explicit RealFft(size_t n);  // n even, at least 2

  size_t size() const { return n_; }
  size_t n_lines() const { return n_ / 2 + 1; }

  // in [n] -> re, im [n_lines]: sum of in[t] * exp(-2 pi i k t / n).
  void forward(std::span<const float> in, std::span<float> re, std::span<float> im);
  // The inverse with its factor 1/n. The imaginary parts of the first and last line are taken as zero.
  void inverse(std::span<const float> re, std::span<const float> im, std::span<float> out);

 private:
  struct Stage {
    size_t radix = 0;
    size_t length = 0;            // of the transforms that are already done
    std::vector<float> re, im;    // [radix - 1, length]: the turns before the butterflies
  };
  void transform(std::vector<float>& re, std::vector<float>& im);  // complex, n/2 points, in place

  size_t n_;
  std::vector<Stage> stages_;
  std::vector<float> turn_re_, turn_im_;      // [n/2 + 1]: exp(-2 pi i k / n)
  std::vector<float> root_re_, root_im_;      // [n/2]: exp(-2 pi i k / (n/2)), for radices without a form of their own
  std::vector<float> re_, im_, other_re_, other_im_;
};

}  // namespace csm::mark
