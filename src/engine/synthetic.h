// A checkpoint whose weights are made up in memory: true shapes without a download, to measure with.
//
// Place in the flow: shape name -> (here) -> Checkpoint -> backends, as if it came from files. Every tensor is random
// numbers that depend on its name and nothing else, scaled so that activations keep their size. A tensor is made when
// it is fetched and given back to the system once its last user drops it; while somebody holds it, others share it, so
// that two models over one checkpoint hold one copy of its tables. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/checkpoint.h"

namespace csm {

// Names that make_synthetic_checkpoint knows: "csm-1b" (with Mimi's codec), "tiny" (a few hundred kilobytes).
std::vector<std::string> synthetic_shapes();

// type: how matrices and tables of the language model are stored (kF32, kF16 or kBF16). Everything else, and the codec,
// is f32, as in the real files. Errors: kInvalidArgument with the names there are.
std::shared_ptr<const Checkpoint> make_synthetic_checkpoint(const std::string& shape, DType type);

}  // namespace csm
