#include "config/fields.h"

#include <algorithm>

namespace csm::app {

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"speech", "Speaker, length and chance"},
      {"guard", "Speech that runs away, and silence around it"},
      {"context", "Turns that do not fit the model's window"},
      {"sampling", "Sampling", "the model's generation_config.json"},
      {"depth", "Sampling of the depth decoder, where it shall differ", "as in [sampling]"},
      {"marking", "Watermark"},
      {"output", "Output"},
      {"engine", "Model and machine"},
      {"trace", "Model and machine"},
      {"mlx", "MLX backend"},
  };
  return all;
}

const std::vector<Field>& fields() {
  static const std::vector<Field> table = [] {
    std::vector<Field> all;
    add_speech_fields(all);
    add_guard_fields(all);
    add_context_fields(all);
    add_sampling_fields(all);
    add_watermark_fields(all);
    add_output_fields(all);
    add_engine_fields(all);
    add_mlx_fields(all);
    return all;
  }();
  return table;
}

const Section& section_of(const Field& field) {
  return *std::find_if(sections().begin(), sections().end(),
                       [&](const Section& section) { return section.name == field.section; });
}

const Field* find_field(const std::string& name) {
  const auto found =
      std::find_if(fields().begin(), fields().end(), [&](const Field& field) { return field.name == name; });
  return found == fields().end() ? nullptr : &*found;
}

}  // namespace csm::app
