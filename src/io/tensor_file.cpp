#include "io/tensor_file.h"

#include "io/gguf.h"
#include "io/pytorch.h"
#include "io/safetensors.h"

namespace csm {

std::vector<TensorInfo> read_tensor_file(const std::string& path) {
  constexpr std::string_view kGguf = ".gguf";
  if (path.size() > kGguf.size() && path.compare(path.size() - kGguf.size(), kGguf.size(), kGguf) == 0) return read_gguf(path).tensors;
  return is_pytorch_name(path) ? read_pytorch(path) : read_safetensors(path);
}

}  // namespace csm
