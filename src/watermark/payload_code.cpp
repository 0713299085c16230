#include "watermark/payload_code.h"

#include <algorithm>
#include <limits>

namespace csm::mark {
namespace {

constexpr std::array<uint32_t, kCodedPerStep> kGenerators = {0463, 0535, 0733, 0745};
constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// The sign of one coded bit for a register of nine input bits, the newest in bit 0.
float coded_sign(uint32_t reg, uint32_t generator) {
  uint32_t bits = reg & generator;
  for (const int shift : {8, 4, 2, 1}) bits ^= bits >> shift;
  return (bits & 1) != 0 ? -1.0f : 1.0f;
}

uint32_t info_bit(uint64_t info, size_t step) {
  return step < kInfoBits ? static_cast<uint32_t>(info >> (kInfoBits - 1 - step)) & 1 : 0;
}

}  // namespace

uint16_t crc16(uint32_t payload) {
  uint32_t crc = 0xFFFF;
  for (int shift = 24; shift >= 0; shift -= 8) {
    crc ^= (payload >> shift & 0xFF) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1 ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u)) & 0xFFFF;
  }
  return static_cast<uint16_t>(crc);
}

CodedBits encode_payload(uint32_t payload, uint16_t crc_mask) {
  const uint64_t info = uint64_t{payload} << 16 | static_cast<uint16_t>(crc16(payload) ^ crc_mask);
  CodedBits coded{};
  uint32_t reg = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    reg = (reg << 1 | info_bit(info, step)) & 0x1FF;
    for (size_t g = 0; g < kCodedPerStep; ++g) coded[step * kCodedPerStep + g] = coded_sign(reg, kGenerators[g]);
  }
  return coded;
}

SoftDecoder::SoftDecoder() {
  for (size_t g = 0; g < kCodedPerStep; ++g) {
    for (size_t state = 0; state < kStates / 2; ++state) {
      signs_[g][state] = coded_sign(static_cast<uint32_t>(state << 1), kGenerators[g]);
    }
  }
}

void SoftDecoder::branch_metrics(const CodedBits& soft, size_t step) {
  const float* bits = &soft[step * kCodedPerStep];
  for (size_t j = 0; j < kStates / 2; ++j) {
    branch_[j] = signs_[0][j] * bits[0] + signs_[1][j] * bits[1] + signs_[2][j] * bits[2] + signs_[3][j] * bits[3];
  }
}

// States j and j + 128 lead to 2j (a 0 came in) and 2j + 1 (a 1).
float SoftDecoder::best_metric(const CodedBits& soft) {
  metric_.fill(kImpossible);
  metric_[0] = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    branch_metrics(soft, step);
    const float* low = metric_.data();
    const float* high = metric_.data() + kStates / 2;
    for (size_t j = 0; j < kStates / 2; ++j) {
      next_metric_[2 * j] = std::max(low[j] + branch_[j], high[j] - branch_[j]);
      next_metric_[2 * j + 1] = std::max(low[j] - branch_[j], high[j] + branch_[j]);
    }
    metric_.swap(next_metric_);
    if (step < kInfoBits) continue;
    for (size_t state = 1; state < kStates; state += 2) metric_[state] = kImpossible;  // the tail is zeros
  }
  return metric_[0];
}

// The best n_paths of both predecessors' survivors, for every state.
void SoftDecoder::extend(size_t step) {
  for (size_t state = 0; state < kStates; ++state) {
    Survivor* out = survivors(step + 1, state);
    if (step >= kInfoBits && (state & 1) != 0) {
      std::fill(out, out + n_paths_, Survivor{kImpossible, 0, false});
      continue;
    }
    const size_t j = state >> 1;
    const Survivor* low = survivors(step, j);
    const Survivor* high = survivors(step, j + kStates / 2);
    const float branch = (state & 1) != 0 ? -branch_[j] : branch_[j];
    size_t n_low = 0, n_high = 0;
    for (size_t i = 0; i < n_paths_; ++i) {
      const float a = low[n_low].metric + branch, b = high[n_high].metric - branch;
      if (a >= b) {
        out[i] = {a, static_cast<uint16_t>(n_low++), false};
      } else {
        out[i] = {b, static_cast<uint16_t>(n_high++), true};
      }
    }
  }
}

std::optional<uint32_t> SoftDecoder::decode(const CodedBits& soft, uint16_t crc_mask, size_t n_paths) {
  n_paths_ = n_paths;
  survivors_.resize((kSteps + 1) * kStates * n_paths);
  std::fill(survivors_.begin(), survivors_.begin() + static_cast<ptrdiff_t>(kStates * n_paths),
            Survivor{kImpossible, 0, false});
  survivors(0, 0)[0].metric = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    branch_metrics(soft, step);
    extend(step);
  }
  for (size_t rank = 0; rank < n_paths; ++rank) {
    if (const auto payload = trace_back(rank, crc_mask)) return payload;
  }
  return std::nullopt;
}

std::optional<uint32_t> SoftDecoder::trace_back(size_t rank, uint16_t crc_mask) {
  uint64_t info = 0;
  size_t state = 0;
  for (size_t step = kSteps; step > 0; --step) {
    const Survivor& survivor = survivors(step, state)[rank];
    if (survivor.metric == kImpossible) return std::nullopt;
    if (step <= kInfoBits) info |= uint64_t{state & 1} << (kInfoBits - step);
    state = (state >> 1) + (survivor.from_high ? kStates / 2 : 0);
    rank = survivor.rank;
  }
  const auto payload = static_cast<uint32_t>(info >> 16);
  const auto checksum = static_cast<uint16_t>(info ^ crc_mask);
  return checksum == crc16(payload) ? std::optional(payload) : std::nullopt;
}

}  // namespace csm::mark
