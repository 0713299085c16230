// The table of fields: every setting of the program, once.
//
// Place in the flow: fields_*.cpp add entries, section by section; nothing else names a setting. How to add one:
// HACKING.md, "Adding a setting". Built on first use, then immutable; any thread.
#pragma once

#include <string>
#include <vector>

#include "config/field.h"

namespace csm::app {

// A [section] of the file and a group of the help.
struct Section {
  std::string name;
  std::string heading;
  std::string unset = {};  // what holds for its fields that are not set
};

// Which commands take a field. A new command is added to the lists that fit, and takes what they take.
inline const std::vector<std::string> kSpeakers = {"speak", "script", "batch", "chat"};                 // say something
inline const std::vector<std::string> kConversers = {"speak", "chat"};                                  // with turns of a conversation
inline const std::vector<std::string> kWriters = {"speak", "script", "batch", "chat", "codec decode"};  // write sound
// Load the whole model.
inline const std::vector<std::string> kLanguageModelUsers = {"speak", "script", "batch", "chat", "trace"};
// Load the codec.
inline const std::vector<std::string> kCodecUsers = {"speak", "script",       "batch",        "chat",
                                                     "trace", "codec encode", "codec decode", "voice add"};
inline const std::vector<std::string> kModelReaders = {"speak",        "script",       "batch",    "chat",    "trace",
                                                       "codec encode", "codec decode", "tokenize", "inspect", "voice add"};

const std::vector<Section>& sections();
const std::vector<Field>& fields();

const Section& section_of(const Field& field);
// By its name; nullptr when there is none.
const Field* find_field(const std::string& name);

// Each adds its part, in the order in which help and documentation show them.
void add_engine_fields(std::vector<Field>& table);
void add_mlx_fields(std::vector<Field>& table);
void add_speech_fields(std::vector<Field>& table);
void add_guard_fields(std::vector<Field>& table);
void add_context_fields(std::vector<Field>& table);
void add_sampling_fields(std::vector<Field>& table);
void add_watermark_fields(std::vector<Field>& table);
void add_output_fields(std::vector<Field>& table);

}  // namespace csm::app
