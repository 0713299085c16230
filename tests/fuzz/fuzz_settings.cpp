// Any bytes given as a configuration file end in settings that the fields take, or in one line that says what is wrong.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "config/configuration.h"
#include "config/fields.h"
#include "flags.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// What was read must be what the table takes, and must survive being written and read again.
void check_values(const csm::app::Assignments& values) {
  for (const csm::app::Assignment& value : values) {
    csm::app::Settings settings;
    check(csm::app::checked_value(*value.field, value.text, "again") == value.text);
    value.field->binding.set(settings, value.text);
    const std::string line = csm::app::toml_line(*value.field, value.field->key(), value.text);
    const csm::app::ConfigFile again = csm::app::parse_config_file(line + "\n", "again");
    check(again.values.size() == 1 && again.values.front().field == value.field);
    check(again.values.front().text == value.text || value.field->is_path);  // "~/" becomes the home directory
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  try {
    const csm::app::ConfigFile file =
        csm::app::parse_config_file(std::string(reinterpret_cast<const char*>(data), n_bytes), "input");
    check_values(file.values);
    for (const csm::app::Preset& preset : file.presets) check_values(preset.values);
  } catch (const csm::app::UsageError& error) {
    check(std::strlen(error.what()) > 0);
  }
  return 0;
}
