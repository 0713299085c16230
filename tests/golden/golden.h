// Golden files as the tests read them: named arrays, widened to float or int32.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "io/safetensors.h"

namespace csm::test {

inline const std::string kData = CSM_TEST_DATA;

struct Array {
  std::vector<int64_t> shape;
  std::vector<float> values;

  int64_t dim(size_t i) const { return shape.at(i); }
  std::vector<int32_t> as_int() const { return {values.begin(), values.end()}; }  // exact below 2^24
};

using Arrays = std::map<std::string, Array>;

inline Arrays read_arrays(const std::string& path) {
  Arrays arrays;
  for (const TensorInfo& tensor : read_safetensors(path)) {
    Array array{tensor.shape, std::vector<float>(static_cast<size_t>(tensor.n_elements()))};
    widen_to_f32(tensor.type, tensor.fetch().data.data(), array.values.size(), array.values.data());
    arrays.emplace(tensor.name, std::move(array));
  }
  return arrays;
}

// gold: the directory of golden numbers; checkpoint: the directory of the model that must give them.
struct GoldenModel {
  const char* name;
  const char* checkpoint;
  const char* gold;
};

inline std::string checkpoint_path(const GoldenModel& model) { return kData + "/ckpt/" + model.checkpoint; }
inline std::string gold_path(const GoldenModel& model, const std::string& file) { return kData + "/gold/" + model.gold + "/" + file + ".safetensors"; }

inline float max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = std::fmax(difference, std::isnan(a[i]) ? INFINITY : std::fabs(a[i] - b[i]));
  return difference;
}

// Every checkpoint with a language model, in all its layouts and types.
inline constexpr GoldenModel kLanguageModels[] = {
    {"a", "csm-tiny-a", "csm-tiny-a"},
    {"b", "csm-tiny-b", "csm-tiny-b"},
    {"f_f32", "csm-tiny-f/hf-f32", "csm-tiny-f-f32"},
    {"f_bf16", "csm-tiny-f/hf-bf16", "csm-tiny-f-bf16"},
    {"f_f16", "csm-tiny-f/hf-f16", "csm-tiny-f-f16"},
    {"f_sharded", "csm-tiny-f/hf-sharded-bf16", "csm-tiny-f-bf16"},
    {"f_original", "csm-tiny-f/original", "csm-tiny-f-f32"},
};

}  // namespace csm::test
