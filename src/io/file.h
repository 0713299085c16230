// Files: whole reads with a bound, read-only mappings, and writes that appear under their final name only when whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace csm {

// The whole file as text. Errors: kNotFound, kInvalidData (larger than max_bytes, a directory), kIo.
std::string read_text_file(const std::string& path, uint64_t max_bytes);

// A read-only mapping of a regular file. The bytes live as long as any copy of the pointer.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::byte* data, size_t size) : path_(std::move(path)), data_(data), size_(size) {}
  std::string path_;
  const std::byte* data_;
  size_t size_;
};

// Lets go of the whole pages within bytes of a MappedFile: they no longer count as this process's memory, and come back from the file
// when they are read again.
void release_pages(std::span<const std::byte> bytes);

// Removes what writers of this path left beside it when they were killed. Files that a living process writes stay: they are locked.
void remove_stale_temporaries(const std::string& path);

// A file that is written beside its final name and renamed by commit(); without commit() nothing is left. A target that exists
// and is not a regular file (a device, a pipe) is written in place. Every failed write is a kIo error with the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t n_bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void seek(uint64_t offset);  // for headers that are known last
  int descriptor() const { return descriptor_; }
  void commit();

 private:
  std::string path_;
  std::string temporary_;  // empty when written in place
  int descriptor_ = -1;
};

}  // namespace csm
