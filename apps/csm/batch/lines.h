// The lines of a batch: what shall be spoken, with which settings, into which file.
//
// Place in the flow: a file of JSON objects or of plain lines -> BatchLine -> requests. Stateless; any thread.
#pragma once

#include <csm/speech.h>

#include <string>
#include <vector>

#include "config/settings.h"

namespace csm::app {

struct BatchLine {
  size_t number = 0;  // in the file, from 1
  std::string text;
  std::string file;     // relative to the output folder
  std::string context;  // a conversation file; "" = the one of the whole batch
  Settings settings;
  std::string error;  // why this line cannot be spoken; "" when it can
};

enum class BatchFormat { kText, kJson };

// By the ending of the name: .jsonl, .ndjson and .json hold objects. Standard input does when it begins with "{".
BatchFormat batch_format(const std::string& path, const std::string& text);

// Each line that is not blank. A line of JSON is an object with "text", and if wanted "file", "context" (relative to
// `folder`) and any setting of speech, sampling and output under its name. What is wrong with a line is its `error`: it
// does not stop the others.
std::vector<BatchLine> read_batch(const std::string& text, BatchFormat format, const Settings& settings,
                                  const std::string& folder);

// What decides how a line sounds, in 16 hexadecimal digits: text, turns, every setting.
std::string fingerprint(const BatchLine& line, const std::vector<Turn>& context);

}  // namespace csm::app
