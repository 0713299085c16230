// Any bytes given as a GGUF file end in values and tensors that lie inside them or in csm::Error; and any such tensors given as a model's
// weights end in a checkpoint or in csm::Error.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "engine/gguf_vocabulary.h"
#include "io/gguf.h"
#include "io/json.h"
#include "model/checkpoint.h"

namespace {

// Small enough that a search finds complete tensors.
constexpr const char* kConfig = R"({
  "model_type": "mimi", "sampling_rate": 1000, "num_hidden_layers": 1, "hidden_size": 2, "num_attention_heads": 1,
  "num_key_value_heads": 1, "intermediate_size": 1, "norm_eps": 1e-5, "rope_theta": 100, "sliding_window": 2, "num_filters": 1,
  "kernel_size": 1, "last_kernel_size": 1, "residual_kernel_size": 1, "compress": 1, "upsampling_ratios": [1],
  "num_quantizers": 2, "codebook_size": 2, "codebook_dim": 1, "vector_quantization_hidden_dimension": 1
})";

const csm::ModelSpec& small_spec() {
  static const csm::ModelSpec spec = csm::parse_model_spec(csm::parse_json(kConfig, "config"), "config");
  return spec;
}

void check_message(const csm::Error& error) {
  if (std::strchr(error.what(), '\n') != nullptr || std::strlen(error.what()) > 16'384) std::abort();
}

// Reads every value in every way, and every byte of every tensor.
void use(const csm::GgufFile& file, size_t n_bytes) {
  size_t n_text = 0;
  for (const auto& [key, value] : file.metadata) {
    n_text += key.size() + value.describe().size();
    for (const std::string_view text : value.strings()) n_text += text.size();
    n_text += value.integers().size() + (value.number() ? 1 : 0) + (value.boolean() ? 1 : 0) + (value.unsigned_integer() ? 1 : 0);
  }
  if (n_text > 256 * n_bytes + 1024) std::abort();
  size_t sum = 0;
  for (const csm::TensorInfo& tensor : file.tensors) {
    const csm::TensorBytes bytes = tensor.fetch();
    if (bytes.data.size() != tensor.n_bytes() || tensor.n_bytes() > n_bytes) std::abort();
    for (const std::byte byte : bytes.data) sum += std::to_integer<size_t>(byte);
    (void)csm::all_finite(tensor.type, bytes.data.data(), static_cast<size_t>(tensor.n_elements()));
  }
  if (sum > n_bytes * 255) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  // A copy of its own, so that a sanitizer sees every byte read beyond it.
  const auto owner = std::make_shared<std::vector<std::byte>>(n_bytes);
  if (n_bytes > 0) std::memcpy(owner->data(), data, n_bytes);
  csm::GgufFile file;
  try {
    file = csm::read_gguf_bytes(*owner, owner, "input");
    use(file, n_bytes);
  } catch (const csm::Error& error) {
    check_message(error);
    return 0;
  }
  try {
    if (csm::has_vocabulary(file)) (void)csm::tokenizer_json(file);
  } catch (const csm::Error& error) {
    check_message(error);
  }
  try {
    (void)csm::Checkpoint::create(small_spec(), std::move(file.tensors), "input");
  } catch (const csm::Error& error) {
    check_message(error);
  }
  return 0;
}
