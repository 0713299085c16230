// Wrong keys by the thousand: how often chance looks like the mark. Prints the tail beside what theory says.
//
//   cmake --build build --target watermark_trials && build/watermark_trials KEYS FILE...
//
// Every file is tried with KEYS random keys and payloads: as a known payload (all of them) and as one that must be read (one
// key in READ_EVERY, since that takes fifty times as long). Whatever mark the file itself carries belongs to another key.
#include <fmt/format.h>

#include <cstdio>
#include <random>
#include <string>

#include <csm/audio.h>
#include <csm/error.h>

#include "watermark/correlate.h"

namespace {

using namespace csm;
using namespace csm::mark;

constexpr uint32_t kReadEvery = 10;

struct Counts {
  double trials = 0;
  double beyond[4] = {};  // 1e-1, 1e-2, 1e-3, 1e-6
  double greatest_z = 0;

  void add(double probability, double z) {
    ++trials;
    const double levels[] = {1e-1, 1e-2, 1e-3, 1e-6};
    for (size_t i = 0; i < 4; ++i) beyond[i] += probability <= levels[i] ? 1 : 0;
    greatest_z = std::max(greatest_z, z);
  }
  void print(const char* what) const {
    fmt::print("{:<14} {:>7.0f} trials; share beyond 1e-1: {:.4f}, 1e-2: {:.5f}, 1e-3: {:.6f}; accepted at 1e-6: {:.0f}; "
               "greatest z {:.2f}\n", what, trials, beyond[0] / trials, beyond[1] / trials, beyond[2] / trials, beyond[3],
               greatest_z);
  }
};

void run(int argc, char** argv) {
  const auto n_keys = static_cast<uint32_t>(std::stoul(argv[1]));
  std::mt19937_64 random(1);
  SoftDecoder decoder;
  Counts known, read;
  for (int file = 2; file < argc; ++file) {
    const std::vector<float> sound = resample(read_audio(argv[file]), kGridRateHz).samples;
    Fold fold;
    const size_t n_chips = count_chips(sound.size());
    const SoundLevels levels(sound);
    for (size_t first = 0; first < n_chips; first += kPeriod) {
      fold.add(ChipScores(sound, first, std::min(kPeriod, n_chips - first), levels));
    }
    for (uint32_t i = 0; i < n_keys; ++i) {
      KeyBytes key;
      for (uint8_t& byte : key) byte = static_cast<uint8_t>(random());
      const auto payload = static_cast<uint32_t>(random());
      const KeyPattern pattern(key);
      const Match match = match_known(fold, pattern.chips(payload), payload);
      known.add(known_false_positive(match.z, kHypotheses), match.z);
      if (i % kReadEvery != 0) continue;
      const Match found = match_unknown(fold, pattern, decoder);
      read.add(found.payload ? unknown_false_positive(found.z, kHypotheses) : 1, found.z);
    }
  }
  known.print("known payload");
  read.print("read payload");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 3) throw Error(ErrorCode::kInvalidArgument, "usage: watermark_trials KEYS FILE...");
    run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "watermark_trials: {}\n", error.what());
    return 1;
  }
}
