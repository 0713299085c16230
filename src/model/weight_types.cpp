#include "model/weight_types.h"

#include "base/fail.h"

namespace csm {
namespace {

struct Entry {
  WeightType type;
  DType dtype;
  const char* name;
};
constexpr Entry kTypes[] = {
    {WeightType::kF32, DType::kF32, "f32"},     {WeightType::kF16, DType::kF16, "f16"},     {WeightType::kBF16, DType::kBF16, "bf16"},
    {WeightType::kQ8_0, DType::kQ8_0, "q8_0"},  {WeightType::kQ6_K, DType::kQ6_K, "q6_K"},  {WeightType::kQ5_K, DType::kQ5_K, "q5_K"},
    {WeightType::kQ4_K, DType::kQ4_K, "q4_K"},  {WeightType::kQ4_0, DType::kQ4_0, "q4_0"},  {WeightType::kIQ4_NL, DType::kIQ4_NL, "iq4_nl"},
};

const Entry* find_entry(WeightType type) {
  for (const Entry& entry : kTypes) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

}  // namespace

WeightType at_least_q8_0(WeightType type) {
  const std::optional<DType> dtype = dtype_of(type);
  return dtype && is_quantised(*dtype) ? WeightType::kQ8_0 : type;
}

bool is_sensitive(const ManifestEntry& entry) {
  return entry.name == "lm_head.weight" || entry.name == "depth_decoder.codebooks_head.weight" ||
         entry.name == "depth_decoder.model.inputs_embeds_projector.weight";
}

WeightType matrix_type(const ManifestEntry& entry, WeightType part_type) {
  return is_sensitive(entry) ? at_least_q8_0(part_type) : part_type;
}

std::optional<DType> dtype_of(WeightType type) {
  const Entry* entry = find_entry(type);
  return entry == nullptr ? std::nullopt : std::optional(entry->dtype);
}

const char* to_string(WeightType type) {
  const Entry* entry = find_entry(type);
  return entry == nullptr ? "as stored" : entry->name;
}

}  // namespace csm
