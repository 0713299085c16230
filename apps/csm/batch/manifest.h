// manifest.jsonl in the output folder: what became of each line, so that a batch can go on where it stopped.
//
// Place in the flow: csm batch reads it first, adds a line for each file that is whole, and writes it anew in order at
// the end. Each line is an object: {"line": 3, "file": "00003.wav", "request": "0123456789abcdef", "status": "done",
// ...}; of several for one file the last holds. What cannot be read is as if it were not there: the speech is made
// again. Main thread.
#pragma once

#include <map>
#include <string>

#include "output.h"

namespace csm::app {

class Manifest {
 public:
  // Errors: kIo when the file is there but cannot be read.
  explicit Manifest(const std::string& folder);

  // Whether the file is whole on the disk, and was made by this request.
  bool is_done(const std::string& file, const std::string& request) const;
  // "file" names the entry. Appended at once, while signals are held. Errors: kIo.
  void add(const Json& entry);
  // All entries, one for each file, in the order of their lines. Errors: kIo.
  void write_in_order() const;

  std::string path() const { return folder_ + "/manifest.jsonl"; }

 private:
  void read_line(const std::string& line);

  std::string folder_;
  std::map<std::string, Json> entries_;  // by file
};

}  // namespace csm::app
