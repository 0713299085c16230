#include "audio/fades.h"

#include <cmath>

namespace csm {
namespace {

constexpr double kPi = 3.14159265358979323846;

// From nearly 0 at index 0 to nearly 1 at index n - 1.
float rise(int64_t index, int64_t n) {
  const double sine = std::sin(kPi / 2 * (static_cast<double>(index) + 0.5) / static_cast<double>(n));
  return static_cast<float>(sine * sine);
}

}  // namespace

void Fades::push(std::span<const float> samples, std::vector<float>& out) {
  for (const float sample : samples) {
    held_.push_back(n_samples_ < n_in_ ? sample * rise(n_samples_, n_in_) : sample);
    ++n_samples_;
    if (static_cast<int64_t>(held_.size()) <= n_out_) continue;
    out.push_back(held_.front());
    held_.pop_front();
  }
}

// A sound shorter than its fade-out fades over its whole length.
void Fades::finish(std::vector<float>& out) {
  const auto n_held = static_cast<int64_t>(held_.size());
  for (int64_t i = 0; i < n_held; ++i) out.push_back(held_[static_cast<size_t>(i)] * rise(n_held - 1 - i, n_held));
  held_.clear();
}

}  // namespace csm
