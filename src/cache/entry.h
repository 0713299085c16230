// One entry of the cache of converted weights: a safetensors file whose metadata says what it belongs to and holds a
// digest of each tensor.
//
//   __metadata__: {"format": "csm weight cache", "version": "1", "content": SHA-256 of the model's files,
//                  "settings": the backend's, "digests": one of 16 hexadecimal digits for each tensor, in order of the
//                  data, "header": the same of all names, types, shapes and digests}
//   tensors named pad.N fill gaps, so that large tensors begin at whole pages and small ones at whole cache lines
//
// The header comes first but is known last, so room for it is left. Values; one thread.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/file.h"
#include "io/tensor.h"

namespace csm {

struct EntryKey {
  std::string content;
  std::string settings;

  std::string file_name() const;  // of 32 hexadecimal digits, ".safetensors"
};

// Tensors by name. The file's size and header are checked here, the bytes of a tensor when it is fetched (DamagedEntry).
// Errors: DamagedEntry (also for another version or key), kNotFound, kIo.
std::unordered_map<std::string, TensorInfo> read_entry(const std::string& path, const EntryKey& key);

// Content and settings. Errors: as read_entry.
EntryKey read_entry_key(const std::string& path);

class EntryWriter {
 public:
  // Errors: kIo.
  EntryWriter(const std::string& path, EntryKey key, size_t n_tensors);
  void add(const std::string& name, DType type, const std::vector<int64_t>& shape, std::span<const std::byte> bytes);
  // Errors: kIo; kResourceLimit when there are more tensors than the header has room for.
  void commit();
  uint64_t n_bytes() const { return offset_; }  // of data so far

 private:
  struct Tensor {
    std::string name;
    DType type;
    std::vector<int64_t> shape;
    uint64_t begin, end;
    uint64_t digest;
  };
  void put(const std::string& name, DType type, const std::vector<int64_t>& shape, std::span<const std::byte> bytes);

  EntryKey key_;
  std::string path_;
  uint64_t header_bytes_;
  AtomicFile file_;
  std::vector<Tensor> tensors_;
  uint64_t offset_ = 0;
};

}  // namespace csm
