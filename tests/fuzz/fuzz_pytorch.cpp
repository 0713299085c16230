// Any bytes given as a PyTorch file end in tensors whose bytes are there, or in csm::Error; the same for the pickle within. To let a
// search get past the check values of the archive, the bytes are also tried as a pickle in an archive of their own making.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/pytorch.h"

namespace {

std::string le(uint64_t value, int n_bytes) {
  std::string out;
  for (int i = 0; i < n_bytes; ++i) out += i < 8 ? static_cast<char>(value >> (8 * i)) : '\0';
  return out;
}

// An archive of these entries, without check values.
std::string archive(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out, directory;
  for (const auto& [name, data] : entries) {
    // Flags to lengths: the same in both headers.
    const std::string common = le(0, 2 + 2 + 4 + 4) + le(data.size(), 4) + le(data.size(), 4) + le(name.size(), 2) + le(0, 2);
    directory += "PK\1\2" + le(0, 2 + 2) + common + le(0, 2 + 2 + 2 + 4) + le(out.size(), 4) + name;
    out += "PK\3\4" + le(0, 2) + common + name + data;
  }
  return out + directory + "PK\5\6" + le(0, 4) + le(entries.size(), 2) + le(entries.size(), 2) + le(directory.size(), 4) +
         le(out.size(), 4) + le(0, 2);
}

void read(const std::string& bytes) {
  // A copy of its own, so that a sanitizer sees every byte read beyond it.
  const auto owner = std::make_shared<std::vector<std::byte>>(bytes.size());
  if (!bytes.empty()) std::memcpy(owner->data(), bytes.data(), bytes.size());
  try {
    size_t sum = 0;
    for (const csm::TensorInfo& tensor : csm::read_pytorch_bytes(*owner, owner, "input")) {
      const csm::TensorBytes data = tensor.fetch();
      if (data.data.size() != tensor.n_bytes() || tensor.n_bytes() > bytes.size()) std::abort();
      for (const std::byte byte : data.data) sum += std::to_integer<size_t>(byte);
    }
    if (sum > (size_t{1} << 62)) std::abort();
  } catch (const csm::Error& error) {
    if (std::strchr(error.what(), '\n') != nullptr || std::strlen(error.what()) > 16'384) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const std::string input(reinterpret_cast<const char*>(data), n_bytes);
  read(input);
  read(archive({{"a/data.pkl", input}, {"a/data/0", std::string(96, '\1')}}));
  return 0;
}
