// What a limit of memory leaves for keys and values: their type and how many positions.
//
// Place in the flow: Engine::open, before the backend is asked for anything. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/backend.h"

namespace csm {

struct MemoryPlan {
  KvType kv_type = KvType::kF32;
  int max_positions = 0;       // of prompt and speech together: the model's window or less
  uint64_t weight_bytes = 0;   // in memory, tables that are mapped from the file included
  uint64_t kv_bytes = 0;       // for all sequences
};

// Weights in the types that the options ask for. Checkpoints keep some of them mapped; those count like the rest.
uint64_t weight_bytes_in_memory(const Checkpoint& checkpoint, const BackendOptions& options);

// The first of kv_types (from wide to narrow) with which the whole window fits the limit, else the last one with as many positions
// as fit. Errors: kResourceLimit when not even one step of positions fits, with the limit that is needed.
MemoryPlan plan_memory(const ModelSpec& spec, uint64_t weight_bytes, uint64_t limit_bytes,
                       const std::vector<KvType>& kv_types);

// The types that a model can have, from wide to narrow.
std::vector<KvType> possible_kv_types(const ModelSpec& spec, const std::string& backend);

}  // namespace csm
