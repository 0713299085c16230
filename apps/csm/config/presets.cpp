// The presets that the program brings (configuration.h). A file's [preset.NAME] of the same name takes their place.
#include "config/configuration.h"
#include "config/fields.h"

namespace csm::app {
namespace {

Preset preset(const std::string& name, const std::string& about,
              const std::vector<std::pair<std::string, std::string>>& values) {
  Preset made = {name, about, {}};
  for (const auto& [field, text] : values) {
    made.values.push_back({find_field(field), text, Layer::kPreset, "preset " + name});
  }
  return made;
}

}  // namespace

const std::vector<Preset>& built_in_presets() {
  static const std::vector<Preset> presets = {
      preset("calm", "even and careful: little spread", {{"temperature", "0.6"}, {"top-k", "30"}}),
      preset("lively", "more spread than most models ask for", {{"temperature", "1"}, {"top-k", "80"}}),
      preset("exact", "nothing is drawn: the same text gives the same samples", {{"greedy", "true"}}),
      preset("small", "least memory: four-bit weights, a half-size codec and KV cache",
             {{"quantize", "q4_K"}, {"codec-dtype", "f16"}, {"kv-type", "q8_0"}}),
  };
  return presets;
}

}  // namespace csm::app
