// Which type each weight of a model takes when a part of it shall have one: the same rules for quantising at load and for converting, so that
// both give the same bits.
//
// Place in the flow: options -> (here) -> backends, convert. Pure functions; any thread.
#pragma once

#include <optional>

#include "model/backend.h"
#include "model/manifest.h"

namespace csm {

// Projection and head matrices are small and sensitive: never below 8 bits.
WeightType at_least_q8_0(WeightType type);

// Whether a matrix is one of those.
bool is_sensitive(const ManifestEntry& entry);

// The type that a matrix of a part takes when the part is asked to have one.
WeightType matrix_type(const ManifestEntry& entry, WeightType part_type);

// nullopt: kAsStored.
std::optional<DType> dtype_of(WeightType type);

// As in --quantize and --type: "f32", "q6_K", ...; "as stored" for kAsStored.
const char* to_string(WeightType type);

}  // namespace csm
