// How large a backbone's key-value memory is, for plans and accounts.
//
// Place in the flow: backends reserve in these steps; engine and prompt reckon with them. Stateless; any thread.
#pragma once

#include <cstdint>

#include "model/backend.h"

namespace csm {

// Sequences reserve their memory in whole steps of this many positions.
inline constexpr int kKvStepPositions = 256;

// Keys and values of all layers for n_positions, which are not rounded up to steps.
uint64_t kv_cache_bytes(const TransformerSpec& stack, KvType type, int64_t n_positions);

// The same for a sequence that was made for max_positions.
uint64_t kv_sequence_bytes(const TransformerSpec& stack, KvType type, int max_positions);

const char* to_string(KvType type);

}  // namespace csm
