// Named tensors in safetensors files: how codes, prompts and traces go in and out of `csm`.
//
// For small files that people exchange; weights are not read this way. Values; stateless; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace csm {

struct Tensor {
  std::vector<int64_t> shape;  // row-major
  std::variant<std::vector<float>, std::vector<int32_t>, std::vector<uint8_t>> values;
};

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::string>
      contents;  // every tensor of a file that was read, as "codes I32 [12, 8]"; ignored in writing
};

// Those of the named tensors that the file has. F64, F16 and BF16 are read as float32; I64, I16 and I8 as int32 (a
// value beyond int32 is an error); BOOL as uint8. Errors: kNotFound, kIo, kInvalidData, kUnsupported (as for weights).
TensorFile read_tensors(const std::string& path, const std::vector<std::string>& names);

// Writes a file that appears under its final name only when it is whole. Errors: kIo; kInvalidArgument when a shape
// does not describe its values.
void write_tensors(const std::string& path, const TensorFile& file);

}  // namespace csm
