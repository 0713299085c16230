#include "config/documentation.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/fields.h"
#include "files.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kIntroduction = R"(# Configuration

This page is made from the program's table of settings by `csm config --markdown`; a test checks that it is current.

Everything that can be set has one name, and four places where it can be set. Later ones win:

| order | source | example |
|---|---|---|
| 1 | the default, or what the model says | |
| 2 | the configuration file | `temperature = 0.8` below `[sampling]` |
| 3 | a preset: `--preset NAME`, else `CSM_PRESET` | `--preset calm` |
| 4 | the environment | `CSM_TEMPERATURE=0.8` |
| 5 | a flag | `--temperature 0.8` |

A preset stands above the file because it is chosen for one run, and below environment and flags because those name one value.

```sh
csm config                                    # every setting, its value, and where it comes from
csm speak --preset calm --print-config        # what csm speak would use; valid as a configuration file
csm config --temperature 0.7 --seed 7 --save-config ~/.config/csm/config.toml
csm config --presets                          # the presets, built-in and yours
```

**The file** is `$XDG_CONFIG_HOME/csm/config.toml`, else `~/.config/csm/config.toml`; `--config FILE` or `CSM_CONFIG` name another,
`--no-config` reads none. It is [TOML](https://toml.io). A key may stand in its section, or with its plain name above all sections;
`-` and `_` are the same.

```toml
model = "csm-1b"            # the plain name; engine.model or [engine] model are the same

[sampling]
temperature = 0.8
top-k = 40

[preset.night]              # --preset night
temperature = 0.5
quantize = "q8_0"
```

`--save-config FILE` writes what differs from the defaults, whatever source it came from, with the presets of the file that was read;
the file appears only when it is whole. Comments are not kept. `--print-config` and `--save-config` do nothing else.

A value that a setting does not take, and a name that does not exist, is an error of one line with its source, the file's line, what
was expected, what was found, and the nearest name; the exit code is 2. That holds for all values of the file and of the chosen
preset, also those that the command does not use. In the environment a name that begins with `CSM_` and resembles one of these must
be one of these; an empty variable counts as unset. A switch is `true` or `false` (in the environment also `1`, `yes`, `on`, `0`, `no`, `off`); its
flag takes no value, and `--no-NAME` turns it off.

What is no setting, and so has a flag only or nothing:

- what belongs to one call: the text, the turns of the context, input and output files, `--json`, `--dump-prompt`;
- the flags of `csm bench` and `csm convert`: what they measure and write must not depend on what is set elsewhere. For the same reason
  `csm trace` has a type of its own below `[trace]`;
- the cache, address, token and offline mode of the hub: these are the `HF_...` variables that other programs of the hub read
  ([hub.md](hub.md)).
)";

std::string escaped(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string values_text(const Field& field) {
  if (field.binding.kind == FieldKind::kText && field.choices.empty()) return field.is_path ? "path or name" : "text";
  std::string text = field.expectation();
  for (const char* article : {"a ", "one of "}) {
    if (text.compare(0, std::string(article).size(), article) == 0) text = text.substr(std::string(article).size());
  }
  const std::string largest = " to " + field.binding.greatest;  // of the type: says nothing
  const size_t at = field.binding.greatest.empty() ? std::string::npos : text.find(largest);
  return at == std::string::npos ? text : text.substr(0, at);
}

std::string flags_text(const Field& field) {
  std::string text = field.letter == '\0' ? "" : fmt::format("`-{}`, ", field.letter);
  text += "`" + field.flag_name(field.commands.front()) + "`";
  for (const FlagAlias& alias : field.aliases) text += ", `" + alias.flag + "`";
  return text;
}

std::string row(const Field& field, const Section& section) {
  std::string fallback = field.default_text();
  if (fallback.empty()) fallback = section.unset;
  return fmt::format("| `{}` | {} | `{}` | {} | {} | {} | {} |\n", field.short_key(), flags_text(field), field.variable(),
                     escaped(values_text(field)), escaped(fallback), escaped(field.help),
                     fmt::format("{}", fmt::join(field.commands, ", ")));
}

std::string preset_values(const Preset& preset) {
  std::string text;
  for (const Assignment& value : preset.values) {
    text += (text.empty() ? "" : ", ") + toml_line(*value.field, value.field->key(), value.text);
  }
  return text;
}

}  // namespace

std::string configuration_markdown() {
  std::string text = kIntroduction;
  for (const Section& section : sections()) {
    text += fmt::format("\n## [{}]: {}\n\n| key | flags | environment | values | default | what it does | commands |\n"
                        "|---|---|---|---|---|---|---|\n",
                        section.name, section.heading);
    for (const Field& field : fields()) {
      if (field.section == section.name) text += row(field, section);
    }
  }
  text += "\n## Built-in presets\n\n| preset | for | sets |\n|---|---|---|\n";
  for (const Preset& preset : built_in_presets()) {
    text += fmt::format("| `{}` | {} | `{}` |\n", preset.name, preset.about, preset_values(preset));
  }
  return text;
}

std::string presets_text(const Configuration& configuration) {
  std::string text;
  const auto add = [&](const Preset& preset, const std::string& about) {
    text += fmt::format("{}: {}\n", printable(preset.name), about);
    for (const Assignment& value : preset.values) {
      text += "  " + printable(toml_line(*value.field, value.field->key(), value.text)) + "\n";
    }
  };
  for (const Preset& preset : configuration.file_presets) add(preset, "of '" + printable(configuration.config_path) + "'");
  for (const Preset& preset : built_in_presets()) {
    const auto same = [&](const Preset& other) { return other.name == preset.name; };
    const auto& own = configuration.file_presets;
    if (std::none_of(own.begin(), own.end(), same)) add(preset, preset.about);
  }
  return text;
}

int print_config(const Configuration& configuration) {
  print_stdout(effective_config(configuration));
  return kDone;
}

int save_config(const Configuration& configuration, const std::string& path) {
  write_text_file(path, "# Settings of csm; `csm config` shows what holds, docs/configuration.md what there is.\n\n" +
                            saved_config(configuration));
  print_text(fmt::format("csm: {}: settings saved", printable(path)));
  return kDone;
}

}  // namespace csm::app
