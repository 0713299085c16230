#include "engine/synthetic.h"

#include <sys/mman.h>

#include <array>
#include <cmath>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/fail.h"
#include "io/json.h"
#include "model/manifest.h"

namespace csm {
namespace {

struct Shape {
  const char* name;
  const char* config;  // as in config.json
};

// csm-1b is the original checkpoint's own configuration: its flavours say the rest, the codec included.
constexpr Shape kShapes[] = {
    {"csm-1b", R"({"backbone_flavor": "llama-1B", "decoder_flavor": "llama-100M", "text_vocab_size": 128256,
                   "audio_vocab_size": 2051, "audio_num_codebooks": 32})"},
    {"tiny", R"({
      "model_type": "csm", "num_hidden_layers": 2, "hidden_size": 256,
      "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 256,
      "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": 10000},
      "num_codebooks": 4, "vocab_size": 67, "text_vocab_size": 96, "max_position_embeddings": 1024,
      "depth_decoder_config": {
        "num_hidden_layers": 1, "hidden_size": 256, "backbone_hidden_size": 256,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 256,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": 10000},
        "num_codebooks": 4, "vocab_size": 67},
      "codec_config": {
        "model_type": "mimi", "sampling_rate": 24000, "num_hidden_layers": 1, "hidden_size": 32,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64,
        "norm_eps": 1e-5, "sliding_window": 12, "rope_parameters": {"rope_type": "default", "rope_theta": 10000},
        "num_filters": 8, "kernel_size": 7, "last_kernel_size": 3, "residual_kernel_size": 3, "compress": 2,
        "upsampling_ratios": [4, 2], "upsample_groups": 32, "num_quantizers": 4, "num_semantic_quantizers": 1,
        "codebook_size": 64, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16}})"},
};

// Memory straight from the system, so that freeing it lowers what the process holds, whatever the allocator would keep.
class Pages {
 public:
  explicit Pages(size_t n_bytes, const std::string& what) : n_bytes_(n_bytes) {
    data_ = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED)
      fail(ErrorCode::kResourceLimit, "out of memory for the {} bytes of synthetic tensor '{}'", n_bytes, what);
  }
  ~Pages() { ::munmap(data_, n_bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::span<const std::byte> bytes() const { return {data(), n_bytes_}; }

 private:
  void* data_ = nullptr;
  size_t n_bytes_ = 0;
};

// Weights are drawn from this many equally likely values of a normal distribution: a table that stays in the
// first-level cache.
constexpr size_t kLevels = 4096;
constexpr int kBitsPerLevel = 12;
// Below, f16 numbers are subnormal, which some processors compute slowly.
constexpr float kLeastMagnitude = 1.0f / (1 << 14);

// Quantile function of the normal distribution, by bisection: it is called kLevels times in all.
double normal_quantile(double p) {
  double low = -8;
  double high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return low;
}

const std::array<float, kLevels>& normal_levels() {
  static const std::array<float, kLevels> levels = [] {
    std::array<float, kLevels> values{};
    for (size_t i = 0; i < kLevels; ++i)
      values[i] = static_cast<float>(normal_quantile((static_cast<double>(i) + 0.5) / kLevels));
    return values;
  }();
  return levels;
}

uint64_t hash_of(const std::string& name) {  // FNV-1a
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

// The i-th word of a tensor's stream: SplitMix64 (Steele, Lea and Flood 2014) as a counter-based generator.
uint64_t random_word(uint64_t key, uint64_t i) {
  uint64_t z = key + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

struct Distribution {
  double mean = 0;
  double deviation = 1;
};

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

// What keeps the activations of every layer near unit size.
Distribution distribution_of(const ManifestEntry& entry, const ModelSpec& spec) {
  const auto fan_in = [&]() -> int64_t {
    if (entry.use == TensorUse::kMatrix) return entry.shape.at(1);  // [out, in] and [codebook, in, out]
    if (entry.name.rfind("upsample", 0) == 0) return 2;             // [channels, 1, 4]: two of four taps meet in a step
    const bool transposed = entry.name.rfind("decoder.", 0) == 0 && entry.shape.at(2) % 2 == 0;
    return transposed ? entry.shape.at(0) * 2 : entry.shape.at(1) * entry.shape.at(2);
  };
  switch (entry.use) {
    case TensorUse::kMatrix:
    case TensorUse::kConvolution:
      return {0, 1 / std::sqrt(static_cast<double>(fan_in()))};
    case TensorUse::kTable:
      return {0, 1 / std::sqrt(static_cast<double>(spec.n_codebooks + 1))};  // a row is a sum of so many
    case TensorUse::kCodebook:
      return ends_with(entry.name, "cluster_usage")
                 ? Distribution{1, 0.05}
                 : Distribution{0, 1 / std::sqrt(static_cast<double>(spec.codec.n_codebooks))};
    case TensorUse::kVector:
      break;
  }
  if (ends_with(entry.name, ".bias")) return {0, 0.02};
  return {ends_with(entry.name, ".scale") ? 0.3 : 1.0, 0.05};
}

void store(DType type, float value, std::byte* out) {
  if (type == DType::kF32) {
    std::memcpy(out, &value, sizeof value);
    return;
  }
  const uint16_t bits = type == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(out, &bits, sizeof bits);
}

// n values, each one of the levels. T holds the bits of an element.
template <typename T>
void fill(uint64_t key, DType type, Distribution distribution, size_t n, std::byte* out) {
  std::array<T, kLevels> table{};
  for (size_t i = 0; i < kLevels; ++i) {
    const auto value =
        static_cast<float>(distribution.mean + distribution.deviation * static_cast<double>(normal_levels()[i]));
    store(type, std::copysign(std::max(std::fabs(value), kLeastMagnitude), value),
          reinterpret_cast<std::byte*>(&table[i]));
  }
  const size_t n_per_word = 64 / kBitsPerLevel;
  T* const elements = reinterpret_cast<T*>(out);  // the start of a page
  const auto draw = [&](size_t word, size_t n_drawn) {
    uint64_t bits = random_word(key, word);
    for (size_t j = 0; j < n_drawn; ++j, bits >>= kBitsPerLevel)
      elements[word * n_per_word + j] = table[bits % kLevels];
  };
  for (size_t word = 0; word < n / n_per_word; ++word) draw(word, n_per_word);
  draw(n / n_per_word, n % n_per_word);
}

// What of a checkpoint is in memory at the moment.
class Workshop {
 public:
  // The bytes of a tensor; made unless somebody holds them still. The newest one is kept until another is made: a
  // loader that takes a large tensor in slices fetches it once for each.
  TensorBytes fetch(const std::string& name, DType type, size_t n, Distribution distribution) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<const Pages>& known = made_[name];
    std::shared_ptr<const Pages> pages = known.lock();
    if (pages == nullptr) {
      newest_.reset();  // before the next one is made, so that no more than one is here
      const auto fresh = std::make_shared<Pages>(n * size_of(type), name);
      if (size_of(type) == sizeof(float)) {
        fill<uint32_t>(hash_of(name), type, distribution, n, fresh->data());
      } else {
        fill<uint16_t>(hash_of(name), type, distribution, n, fresh->data());
      }
      pages = fresh;
      known = pages;
    }
    newest_ = pages;
    return {pages->bytes(), pages};
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Pages>> made_;
  std::shared_ptr<const Pages> newest_;
};

const Shape& find_shape(const std::string& name) {
  for (const Shape& shape : kShapes) {
    if (name == shape.name) return shape;
  }
  fail(ErrorCode::kInvalidArgument, "shape is '{}'; expected one of {}", name, fmt::join(synthetic_shapes(), ", "));
}

}  // namespace

std::vector<std::string> synthetic_shapes() {
  std::vector<std::string> names;
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

std::shared_ptr<const Checkpoint> make_synthetic_checkpoint(const std::string& shape, DType type) {
  const std::string where = "synthetic " + shape;
  ModelSpec spec = parse_model_spec(parse_json(find_shape(shape).config, where), where);
  const auto workshop = std::make_shared<Workshop>();
  std::vector<TensorInfo> tensors;
  for (const ManifestEntry& entry : manifest(spec)) {
    const bool codec = entry.part == ModelPart::kCodec;
    TensorInfo tensor{entry.name, codec || entry.use == TensorUse::kVector ? DType::kF32 : type, entry.shape, {}};
    const auto n = static_cast<size_t>(tensor.n_elements());
    tensor.fetch = [workshop, name = entry.name, stored = tensor.type, n, distribution = distribution_of(entry, spec)] {
      return workshop->fetch(name, stored, n, distribution);
    };
    tensors.push_back(std::move(tensor));
  }
  return Checkpoint::create(std::move(spec), std::move(tensors), where, WeightCheck::kShapesOnly);
}

}  // namespace csm
