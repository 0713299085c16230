#include "watermark/fft.h"

#include <cmath>
#include <cstddef>
#include <utility>

namespace csm::mark {
namespace {

constexpr double kTwoPi = 6.283185307179586476925;

// Where one stage reads and writes: input r of a butterfly lies `in_step` after input r - 1, output r `out_step`.
struct Lanes {
  const float* in_re;
  const float* in_im;
  float* out_re;
  float* out_im;
  size_t in_step;
  size_t out_step;
};

struct Complex {
  float re, im;
};

Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
Complex operator*(float s, Complex a) { return {s * a.re, s * a.im}; }
Complex minus_i(Complex a) { return {a.im, -a.re}; }

// Input r of the butterfly at k, turned by the stage's twiddle.
Complex load(const Lanes& lanes, size_t k, size_t r, const float* turn_re, const float* turn_im, size_t length) {
  const float re = lanes.in_re[k + r * lanes.in_step], im = lanes.in_im[k + r * lanes.in_step];
  if (r == 0) return {re, im};
  const float c = turn_re[(r - 1) * length + k], s = turn_im[(r - 1) * length + k];
  return {re * c - im * s, re * s + im * c};
}

void store(const Lanes& lanes, size_t k, size_t r, Complex value) {
  lanes.out_re[k + r * lanes.out_step] = value.re;
  lanes.out_im[k + r * lanes.out_step] = value.im;
}

template <size_t kRadix>
void butterflies(const Lanes& lanes, const float* turn_re, const float* turn_im, size_t length) {
  for (size_t k = 0; k < length; ++k) {
    Complex v[kRadix];
    for (size_t r = 0; r < kRadix; ++r) v[r] = load(lanes, k, r, turn_re, turn_im, length);
    if constexpr (kRadix == 2) {
      store(lanes, k, 0, v[0] + v[1]);
      store(lanes, k, 1, v[0] - v[1]);
    } else if constexpr (kRadix == 3) {
      const Complex sum = v[1] + v[2], turned = 0.866025403784f * minus_i(v[1] - v[2]);
      const Complex middle = v[0] - 0.5f * sum;
      store(lanes, k, 0, v[0] + sum);
      store(lanes, k, 1, middle + turned);
      store(lanes, k, 2, middle - turned);
    } else if constexpr (kRadix == 4) {
      const Complex even = v[0] + v[2], even_less = v[0] - v[2], odd = v[1] + v[3], odd_less = minus_i(v[1] - v[3]);
      store(lanes, k, 0, even + odd);
      store(lanes, k, 1, even_less + odd_less);
      store(lanes, k, 2, even - odd);
      store(lanes, k, 3, even_less - odd_less);
    } else {
      static_assert(kRadix == 5);
      constexpr float c1 = 0.309016994375f, c2 = -0.809016994375f, s1 = 0.951056516295f, s2 = 0.587785252292f;
      const Complex a = v[1] + v[4], b = v[2] + v[3], c = v[1] - v[4], d = v[2] - v[3];
      const Complex first = v[0] + c1 * a + c2 * b, second = v[0] + c2 * a + c1 * b;
      const Complex first_turned = minus_i(s1 * c + s2 * d), second_turned = minus_i(s2 * c - s1 * d);
      store(lanes, k, 0, v[0] + a + b);
      store(lanes, k, 1, first + first_turned);
      store(lanes, k, 2, second + second_turned);
      store(lanes, k, 3, second - second_turned);
      store(lanes, k, 4, first - first_turned);
    }
  }
}

size_t next_radix(size_t n) {
  for (const size_t radix : {size_t{4}, size_t{2}, size_t{3}, size_t{5}}) {
    if (n % radix == 0) return radix;
  }
  for (size_t radix = 7; radix * radix <= n; radix += 2) {
    if (n % radix == 0) return radix;
  }
  return n;
}

}  // namespace

RealFft::RealFft(size_t n) : n_(n) {
  const size_t half = n / 2;
  for (size_t k = 0; k <= half; ++k) {
    const double angle = kTwoPi * static_cast<double>(k) / static_cast<double>(n);
    turn_re_.push_back(static_cast<float>(std::cos(angle)));
    turn_im_.push_back(static_cast<float>(-std::sin(angle)));
  }
  for (size_t k = 0; k < half; ++k) {
    const double angle = kTwoPi * static_cast<double>(k) / static_cast<double>(half);
    root_re_.push_back(static_cast<float>(std::cos(angle)));
    root_im_.push_back(static_cast<float>(-std::sin(angle)));
  }
  for (size_t length = 1; length < half;) {
    Stage stage;
    stage.radix = next_radix(half / length);
    stage.length = length;
    for (size_t r = 1; r < stage.radix; ++r) {
      for (size_t k = 0; k < length; ++k) {
        const size_t index = k * r * (half / (length * stage.radix));
        stage.re.push_back(root_re_[index]);
        stage.im.push_back(root_im_[index]);
      }
    }
    length *= stage.radix;
    stages_.push_back(std::move(stage));
  }
  for (auto* work : {&re_, &im_, &other_re_, &other_im_}) work->resize(half);
}

void RealFft::transform(std::vector<float>& re, std::vector<float>& im) {
  const size_t half = n_ / 2;
  for (const Stage& stage : stages_) {
    const size_t length = stage.length, radix = stage.radix;
    for (size_t q = 0; q < half / (length * radix); ++q) {
      const Lanes lanes{re.data() + q * length,          im.data() + q * length,
                        other_re_.data() + q * length * radix, other_im_.data() + q * length * radix,
                        half / radix,                    length};
      const float* c = stage.re.data();
      const float* s = stage.im.data();
      if (radix == 4) {
        butterflies<4>(lanes, c, s, length);
      } else if (radix == 2) {
        butterflies<2>(lanes, c, s, length);
      } else if (radix == 3) {
        butterflies<3>(lanes, c, s, length);
      } else if (radix == 5) {
        butterflies<5>(lanes, c, s, length);
      } else {  // by the definition: rates with such factors are rare
        for (size_t k = 0; k < length; ++k) {
          for (size_t out = 0; out < radix; ++out) {
            Complex sum = load(lanes, k, 0, c, s, length);
            for (size_t r = 1; r < radix; ++r) {
              const Complex v = load(lanes, k, r, c, s, length);
              const size_t root = out * r % radix * (half / radix);
              sum = sum + Complex{v.re * root_re_[root] - v.im * root_im_[root],
                                  v.re * root_im_[root] + v.im * root_re_[root]};
            }
            store(lanes, k, out, sum);
          }
        }
      }
    }
    re.swap(other_re_);
    im.swap(other_im_);
  }
}

// A real sequence as a complex one of half the length: even samples real, odd ones imaginary.
void RealFft::forward(std::span<const float> in, std::span<float> re, std::span<float> im) {
  const size_t half = n_ / 2;
  for (size_t k = 0; k < half; ++k) {
    re_[k] = in[2 * k];
    im_[k] = in[2 * k + 1];
  }
  transform(re_, im_);
  for (size_t k = 0; k <= half; ++k) {
    const size_t a = k % half, b = (half - k) % half;
    const Complex even = 0.5f * Complex{re_[a] + re_[b], im_[a] - im_[b]};
    const Complex odd = 0.5f * Complex{im_[a] + im_[b], re_[b] - re_[a]};
    re[k] = even.re + odd.re * turn_re_[k] - odd.im * turn_im_[k];
    im[k] = even.im + odd.re * turn_im_[k] + odd.im * turn_re_[k];
  }
  im[0] = im[half] = 0;
}

void RealFft::inverse(std::span<const float> re, std::span<const float> im, std::span<float> out) {
  const size_t half = n_ / 2;
  const auto line = [&](size_t k) { return Complex{re[k], k == 0 || k == half ? 0.0f : im[k]}; };
  for (size_t k = 0; k < half; ++k) {
    const Complex a = line(k), mirrored = line(half - k), b = {mirrored.re, -mirrored.im};
    const Complex even = 0.5f * (a + b), less = 0.5f * (a - b);
    const Complex odd = {less.re * turn_re_[k] + less.im * turn_im_[k], less.im * turn_re_[k] - less.re * turn_im_[k]};
    re_[k] = even.re - odd.im;
    im_[k] = even.im + odd.re;
  }
  transform(im_, re_);  // parts exchanged: the inverse
  const float scale = 1.0f / static_cast<float>(half);
  for (size_t k = 0; k < half; ++k) {
    out[2 * k] = re_[k] * scale;
    out[2 * k + 1] = im_[k] * scale;
  }
}

}  // namespace csm::mark
