// SilentCipher in double precision and plain loops, written from the description alone, and random weights for it.
#pragma once

#include <cmath>
#include <complex>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "io/tensor.h"

namespace csm::test {

using Doubles = std::vector<double>;

// Tensors by name, as the original's checkpoint has them.
struct Weights {
  std::map<std::string, std::vector<int64_t>> shapes;
  std::map<std::string, std::vector<float>> values;

  const std::vector<float>& at(const std::string& name) const { return values.at(name); }

  std::vector<TensorInfo> tensors(const std::string& prefix = "module.") const {
    std::vector<TensorInfo> list;
    for (const auto& [name, shape] : shapes) {
      const auto data = std::make_shared<std::vector<float>>(values.at(name));
      list.push_back({prefix + name, DType::kF32, shape, [data] {
                        return TensorBytes{std::as_bytes(std::span<const float>(*data)), data, false};
                      }});
    }
    return list;
  }
};

class RandomWeights {
 public:
  explicit RandomWeights(unsigned seed) : random_(seed) {}

  Weights weights;

  void add(const std::string& name, const std::vector<int64_t>& shape, double mean, double deviation) {
    size_t n = 1;
    for (const int64_t extent : shape) n *= static_cast<size_t>(extent);
    std::normal_distribution<float> normal(static_cast<float>(mean), static_cast<float>(deviation));
    weights.shapes[name] = shape;
    for (size_t i = 0; i < n; ++i) weights.values[name].push_back(normal(random_));
  }

  void add_layer(int number, int64_t n_in, int64_t n_out, int64_t side) {
    const std::string name = "main." + std::to_string(number);
    const double size = 1 / std::sqrt(static_cast<double>(n_in * side * side));
    for (const char* which : {".conv", ".gate"}) {
      add(name + which + ".weight", {n_out, n_in, side, side}, 0, size);
      add(name + which + ".bias", {n_out}, 0, 0.3);
    }
    add(name + ".bn.weight", {n_out}, 1, 0.2);
    add(name + ".bn.bias", {n_out}, 0, 0.2);
    add(name + ".bn.running_mean", {n_out}, 5, 1);  // must not be used
    add(name + ".bn.running_var", {n_out}, 9, 1);
  }

 private:
  std::mt19937 random_;
};

// The original's three checkpoints and kinds of layers with fewer channels, so that plain loops end.
struct SmallCheckpoints {
  static constexpr int kMaps = 3;
  Weights encoder, carrier_decoder, message_decoder;

  SmallCheckpoints() {
    RandomWeights enc(1), dec(2), messages(3);
    enc.add_layer(0, 1, kMaps, 3);
    enc.add_layer(1, kMaps, kMaps, 3);
    enc.add("linear.weight", {1024, 5}, 0, 1);
    enc.add("linear.bias", {1024}, 0, 0.5);
    dec.add_layer(0, 3 * kMaps, 9, 3);
    dec.add_layer(1, 9, 9, 3);
    dec.add_layer(2, 9, 1, 1);
    messages.add_layer(1, 1, 10, 3);  // even numbers have no weights
    messages.add_layer(3, 10, 10, 3);
    messages.add_layer(5, 10, 5, 3);
    messages.add("linear.weight", {1, 1024}, 0, 0.1);
    messages.add("linear.bias", {1}, 0, 0.1);
    encoder = enc.weights;
    carrier_decoder = dec.weights;
    message_decoder = messages.weights;
  }
};

// [channel][row][frame]
struct Maps {
  int n_channels = 0, n_rows = 0, n_frames = 0;
  Doubles values;
  Maps(int channels, int rows, int frames)
      : n_channels(channels), n_rows(rows), n_frames(frames), values(static_cast<size_t>(channels) * static_cast<size_t>(rows) * static_cast<size_t>(frames)) {}
  double& at(int c, int f, int t) { return values[(static_cast<size_t>(c) * static_cast<size_t>(n_rows) + static_cast<size_t>(f)) * static_cast<size_t>(n_frames) + static_cast<size_t>(t)]; }
  double at(int c, int f, int t) const { return const_cast<Maps*>(this)->at(c, f, t); }
};

// One gated layer with its normalisation over everything there is.
inline Maps gated_reference(const Weights& weights, const std::string& name, const Maps& in) {
  const auto& shape = weights.shapes.at(name + ".conv.weight");
  const int n_out = static_cast<int>(shape[0]), side = static_cast<int>(shape[2]), pad = side / 2;
  const float* conv = weights.at(name + ".conv.weight").data();
  const float* gate = weights.at(name + ".gate.weight").data();
  Maps out(n_out, in.n_rows, in.n_frames);
  for (int o = 0; o < n_out; ++o) {
    double sum = 0;
    for (int f = 0; f < in.n_rows; ++f) {
      for (int t = 0; t < in.n_frames; ++t) {
        double c = weights.at(name + ".conv.bias")[static_cast<size_t>(o)], g = weights.at(name + ".gate.bias")[static_cast<size_t>(o)];
        for (int i = 0; i < in.n_channels; ++i) {
          for (int y = 0; y < side; ++y) {
            const int row = f + y - pad;
            if (row < 0 || row >= in.n_rows) continue;
            for (int x = 0; x < side; ++x) {
              const int frame = t + x - pad;
              if (frame < 0 || frame >= in.n_frames) continue;
              const auto at = static_cast<size_t>(((o * in.n_channels + i) * side + y) * side + x);
              const double value = in.at(i, row, frame);
              c += value * conv[at];
              g += value * gate[at];
            }
          }
        }
        out.at(o, f, t) = c / (1 + std::exp(-g));
        sum += out.at(o, f, t);
      }
    }
    const double n = static_cast<double>(in.n_rows) * in.n_frames, mean = sum / n;
    double variance = 0;
    for (int f = 0; f < in.n_rows; ++f) {
      for (int t = 0; t < in.n_frames; ++t) variance += (out.at(o, f, t) - mean) * (out.at(o, f, t) - mean) / n;
    }
    for (int f = 0; f < in.n_rows; ++f) {
      for (int t = 0; t < in.n_frames; ++t) {
        double& value = out.at(o, f, t);
        value = (value - mean) / std::sqrt(variance + 1e-5) * weights.at(name + ".bn.weight")[static_cast<size_t>(o)] +
                weights.at(name + ".bn.bias")[static_cast<size_t>(o)];
      }
    }
  }
  return out;
}

// All layers of a stack; numbers that are missing are passed over.
inline std::vector<Maps> stack_reference(const Weights& weights, const Maps& in) {
  std::vector<Maps> outs;
  for (int i = 0; i < 32; ++i) {
    const std::string name = "main." + std::to_string(i);
    if (weights.values.count(name + ".conv.weight") > 0) outs.push_back(gated_reference(weights, name, outs.empty() ? in : outs.back()));
  }
  return outs;
}

// 20 log10 of reference over difference.
template <typename A, typename B>
double snr_db(const A& found, const B& expected) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double e = static_cast<double>(expected[i]), difference = static_cast<double>(found[i]) - e;
    signal += e * e;
    noise += difference * difference;
  }
  return noise == 0 ? 300 : 10 * std::log10(signal / noise);
}

}  // namespace csm::test
