#include "watermark/silentcipher_weights.h"

#include <filesystem>
#include <map>
#include <numeric>

#include "base/fail.h"

namespace csm::cipher {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLayers = 64;
constexpr int64_t kMaxChannels = 1024;
constexpr int64_t kMaxLinear = 1 << 16;
constexpr const char* kInnerFolder = "44_1_khz/73999_iteration";

struct Values {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Tensors by name, read as they are asked for.
class Reader {
 public:
  Reader(const std::vector<TensorInfo>& tensors, const std::string& where) : where_(where) {
    constexpr std::string_view kPrefix = "module.";
    for (const TensorInfo& tensor : tensors) {
      const bool is_prefixed = tensor.name.compare(0, kPrefix.size(), kPrefix) == 0;
      tensors_[is_prefixed ? tensor.name.substr(kPrefix.size()) : tensor.name] = &tensor;
    }
  }

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }

  // Of so many dimensions.
  Values any(const std::string& name, size_t n_dimensions) const {
    const TensorInfo& tensor = find(name);
    if (tensor.shape.size() != n_dimensions || !is_floating(tensor.type)) fail_shape(name, tensor, fmt::format("{} dimensions", n_dimensions));
    const TensorBytes bytes = tensor.fetch();
    const auto n = static_cast<size_t>(tensor.n_elements());
    if (!all_finite(tensor.type, bytes.data.data(), n)) fail(ErrorCode::kInvalidData, "'{}': tensor '{}' has NaN or infinity", where_, name);
    Values values{tensor.shape, std::vector<float>(n)};
    widen_to_f32(tensor.type, bytes.data.data(), n, values.values.data());
    return values;
  }

  std::vector<float> of_shape(const std::string& name, const std::vector<int64_t>& shape) const {
    const TensorInfo& tensor = find(name);
    if (tensor.shape != shape) fail_shape(name, tensor, fmt::format("[{}]", fmt::join(shape, ", ")));
    return any(name, shape.size()).values;
  }

 private:
  const TensorInfo& find(const std::string& name) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) {
      fail(ErrorCode::kInvalidData, "'{}' lacks the tensor '{}', so it is no checkpoint of SilentCipher", where_, name);
    }
    return *it->second;
  }
  [[noreturn]] void fail_shape(const std::string& name, const TensorInfo& tensor, const std::string& expected) const {
    fail(ErrorCode::kInvalidData, "'{}': tensor '{}' is {}, expected {} in F32", where_, name, tensor.describe(), expected);
  }

  std::string where_;
  std::map<std::string, const TensorInfo*> tensors_;
};

// [out][in][taps] -> the inputs of each group added up. ends: one past each group's last input.
std::vector<float> add_groups(const std::vector<float>& weight, int64_t n_out, int64_t n_in, int64_t taps, const std::vector<int64_t>& ends) {
  std::vector<float> sums;
  for (int64_t out = 0; out < n_out; ++out) {
    int64_t begin = 0;
    for (const int64_t end : ends) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        double sum = 0;
        for (int64_t in = begin; in < end; ++in) sum += weight[static_cast<size_t>((out * n_in + in) * taps + tap)];
        sums.push_back(static_cast<float>(sum));
      }
      begin = end;
    }
  }
  return sums;
}

GatedLayer read_layer(const Reader& reader, const std::string& name, int64_t n_in, const std::vector<int64_t>& groups,
                      const std::string& where) {
  const Values conv = reader.any(name + ".conv.weight", 4);
  const int64_t n_out = conv.shape[0], side = conv.shape[2];
  const bool fits = n_out >= 1 && n_out <= kMaxChannels && conv.shape[1] == n_in && conv.shape[3] == side && (side == 1 || side == 3);
  if (!fits) {
    fail(ErrorCode::kInvalidData, "'{}': '{}.conv.weight' is [{}]; expected [channels, {}, 3, 3] or [channels, {}, 1, 1]", where, name,
         fmt::join(conv.shape, ", "), n_in, n_in);
  }
  const std::vector<float> gate = reader.of_shape(name + ".gate.weight", conv.shape);
  const auto n_used = static_cast<int>(groups.size());
  GatedLayer layer;
  layer.weights = pack_gated(n_used, static_cast<int>(n_out), static_cast<int>(side), add_groups(conv.values, n_out, n_in, side * side, groups),
                             reader.of_shape(name + ".conv.bias", {n_out}), add_groups(gate, n_out, n_in, side * side, groups),
                             reader.of_shape(name + ".gate.bias", {n_out}));
  layer.gamma = reader.of_shape(name + ".bn.weight", {n_out});
  layer.beta = reader.of_shape(name + ".bn.bias", {n_out});
  return layer;
}

// Each input by itself.
std::vector<int64_t> single_groups(int64_t n) {
  std::vector<int64_t> ends(static_cast<size_t>(n));
  std::iota(ends.begin(), ends.end(), int64_t{1});
  return ends;
}

SilentCipherStack read_stack(const std::vector<TensorInfo>& tensors, const std::vector<int64_t>& first_groups, const std::string& where) {
  const Reader reader(tensors, where);
  SilentCipherStack stack;
  int64_t n_in = first_groups.back();
  std::vector<int64_t> groups = first_groups;
  for (int i = 0; i < kMaxLayers; ++i) {  // numbers may be left out: those of layers without weights
    const std::string name = fmt::format("main.{}", i);
    if (!reader.has(name + ".conv.weight")) continue;
    stack.layers.push_back(read_layer(reader, name, n_in, groups, where));
    n_in = stack.layers.back().weights.n_out;
    groups = single_groups(n_in);
  }
  if (stack.layers.empty()) fail(ErrorCode::kInvalidData, "'{}' has no layers (main.0.conv.weight, ...), so it is no checkpoint of SilentCipher", where);
  if (!reader.has("linear.weight")) return stack;
  const Values linear = reader.any("linear.weight", 2);
  if (linear.shape[0] < 1 || linear.shape[0] > kMaxLinear || linear.shape[1] < 1 || linear.shape[1] > kMaxLinear) {
    fail(ErrorCode::kInvalidData, "'{}': 'linear.weight' is [{}], out of all proportion", where, fmt::join(linear.shape, ", "));
  }
  stack.linear = linear.values;
  stack.linear_bias = reader.of_shape("linear.bias", {linear.shape[0]});
  stack.n_linear_out = static_cast<int>(linear.shape[0]);
  stack.n_linear_in = static_cast<int>(linear.shape[1]);
  return stack;
}

std::string file_in(const fs::path& directory, const std::string& stem) {
  for (const char* ending : {".ckpt", ".safetensors"}) {
    const fs::path path = directory / (stem + ending);
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path.string();
  }
  return "";
}

}  // namespace

SilentCipherStack read_silentcipher_stack(const std::vector<TensorInfo>& tensors, const std::string& where) {
  return read_stack(tensors, {1}, where);  // one channel goes in: the magnitude
}

SilentCipherStack read_carrier_decoder(const std::vector<TensorInfo>& tensors, int n_maps, const std::string& where) {
  std::vector<int64_t> groups = single_groups(n_maps);
  groups.push_back(2 * int64_t{n_maps});
  groups.push_back(3 * int64_t{n_maps});
  return read_stack(tensors, groups, where);
}

SilentCipherFiles find_silentcipher_files(const std::string& directory) {
  for (const fs::path& folder : {fs::path(directory), fs::path(directory) / kInnerFolder}) {
    SilentCipherFiles files{file_in(folder, "enc_c"), file_in(folder, "dec_c"), file_in(folder, "dec_m_0")};
    if (!files.encoder.empty() && !files.carrier_decoder.empty()) return files;
  }
  fail(ErrorCode::kNotFound,
       "'{}' does not hold SilentCipher's weights: expected enc_c.ckpt and dec_c.ckpt (and dec_m_0.ckpt to read marks), or the same as "
       ".safetensors, in it or in its {}; csm pull silentcipher fetches them",
       directory, kInnerFolder);
}

}  // namespace csm::cipher
