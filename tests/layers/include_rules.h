// Which file may include which: the layers of src/ as CMake declares them, and the rules for include/, apps/ and
// examples/.
//
// Place in the flow: used by test_layers.cpp only. Plain functions over text, so that the rules themselves can be
// tested.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace layers {

// Folder of src/ ("backends/ggml") -> folders it may include besides itself and the public headers.
using Table = std::map<std::string, std::set<std::string>>;

// One line a layer: its folder, then the folders it may include.
Table parse_table(const std::string& text);

struct Include {
  int line = 0;
  std::string path;
  bool quoted = false;
};

// Every #include of a source text, also inside #if branches that this machine does not take.
std::vector<Include> find_includes(const std::string& text);

// The layer that a path below src/ belongs to: the longest folder of the table that holds it; "" when there is none.
std::string layer_of(const Table& table, const std::string& path_in_src);

struct Sources {
  Table table;
  std::set<std::string> files;  // every header and source, relative to the repository: "src/io/file.h"
};

// What is wrong with the includes of one file, each as one line for people; empty when all is well.
std::vector<std::string> violations(const Sources& sources, const std::string& path, const std::string& text);

}  // namespace layers
