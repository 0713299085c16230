// What a model's files hold, as one SHA-256, without reading gigabytes at every start: a record of the cache remembers
// the digest beside size, times, inode and device of each file, and is believed as long as all of these are the same.
//
// Place in the flow: a model's files -> (here) -> keys of entries. A record is one file in sources/ of the cache; it is
// written only after the files' weights were read and found good. One thread; several processes may share records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace csm {

// As fstat gives it. Any write changes ctime_ns.
struct FileState {
  std::string path;  // absolute
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  uint64_t device = 0;

  bool operator==(const FileState&) const = default;
};

struct SourceRecord {
  std::string content;
  std::vector<FileState> files;
};

// Errors: kInvalidData, with `where`.
SourceRecord parse_source_record(const std::string& text, const std::string& where);

class ContentDigest {
 public:
  // files: all that decide the weights, in an order that depends on the model alone.
  ContentDigest(const std::string& cache_directory, const std::vector<std::string>& files);

  // The remembered digest; nullopt: none, or a file is not as it was.
  const std::optional<std::string>& known() const { return known_; }
  // Reads the files when the digest is not known. Errors: kIo.
  const std::string& get();
  // Writes the record of a digest that get() computed. Files that changed this very moment are not remembered. Errors: kIo.
  void remember() const;

 private:
  std::string record_path_;
  std::vector<FileState> files_;
  std::optional<std::string> known_;
  bool is_computed_ = false;
  int64_t read_at_ns_ = 0;
};

}  // namespace csm
