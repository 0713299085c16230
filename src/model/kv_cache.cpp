#include "model/kv_cache.h"

#include "base/fail.h"

namespace csm {

uint64_t kv_cache_bytes(const TransformerSpec& stack, KvType type, int64_t n_positions) {
  constexpr uint64_t kBlockElements = 32;  // of q8_0: 32 bytes and their f16 scale
  constexpr uint64_t kBlockBytes = 34;
  const uint64_t n = uint64_t{2} * static_cast<uint64_t>(stack.n_layers) * static_cast<uint64_t>(stack.n_kv_heads) *
                     static_cast<uint64_t>(stack.head_dim) * static_cast<uint64_t>(n_positions);
  switch (type) {
    case KvType::kF32: return n * 4;
    case KvType::kF16: return n * 2;
    case KvType::kQ8_0: return n / kBlockElements * kBlockBytes;
  }
  fail(ErrorCode::kInternal, "unknown key-value type {}", static_cast<int>(type));
}

uint64_t kv_sequence_bytes(const TransformerSpec& stack, KvType type, int max_positions) {
  const int64_t n_steps = (int64_t{max_positions} + kKvStepPositions - 1) / kKvStepPositions;
  return kv_cache_bytes(stack, type, n_steps * kKvStepPositions);
}

const char* to_string(KvType type) {
  switch (type) {
    case KvType::kF32: return "f32";
    case KvType::kF16: return "f16";
    case KvType::kQ8_0: return "q8_0";
  }
  return "unknown";
}

}  // namespace csm
