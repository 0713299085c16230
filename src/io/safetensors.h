// safetensors files: 8 bytes of little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then data.
//
// Place in the flow: weight files -> TensorInfo -> checkpoint; and codes, traces -> files. The tensors share ownership of the
// mapping, so they may outlive everything else. Stateless; any thread.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/tensor.h"

namespace csm {

// Maps the file and lists its tensors in order of their data. fetch() gives a view into the mapping that is aligned for its
// type (a copy in the rare file that is not).
// Errors: kNotFound, kIo; kInvalidData for anything that is not exactly one header and its tensors (truncated, overlapping,
// holes, trailing bytes, wrong spans, the same name twice); kUnsupported for a type that DType lacks.
std::vector<TensorInfo> read_safetensors(const std::string& path);

// The same over bytes in memory, kept alive by owner. `where` opens the messages.
std::vector<TensorInfo> read_safetensors_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                               const std::string& where);

// The strings of "__metadata__"; empty when there are none.
std::map<std::string, std::string> read_safetensors_metadata(const std::string& path);

// A tensor to write. Borrowed data: n_elements * size_of(type) bytes.
struct TensorToWrite {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

// Writes a file that appears only when whole; wide types first, so that every tensor is aligned.
// Errors: kIo; kInvalidArgument for a name used twice or a bad shape.
void write_safetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace csm
