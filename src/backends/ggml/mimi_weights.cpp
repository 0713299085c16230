#include "backends/ggml/mimi_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"

namespace csm::ggml {
namespace {

constexpr float kMinUsage = 1e-5f;  // the reference's clamp of cluster_usage
constexpr int kLatentKernel = 4;    // down- and upsampling between frames and latent steps
constexpr int kLatentStride = 2;

// Declares weights under the checkpoint's names.
class Loader {
 public:
  Loader(WeightStore& store, const Checkpoint& checkpoint, ggml_type matrix_type, ConvolutionLayout decoder_layout)
      : store_(store), checkpoint_(checkpoint), matrix_type_(matrix_type), decoder_layout_(decoder_layout) {}

  Convolution convolution(const std::string& name, int64_t stride, ConvolutionLayout layout);
  Upsampling upsampling(const std::string& name, int64_t stride);
  ResidualBlock block(const std::string& name, ConvolutionLayout layout);
  void encoder(MimiWeights& weights);
  void decoder(MimiWeights& weights);
  std::vector<CodecLayer> transformer(const std::string& name, const TransformerSpec& spec);
  ggml_tensor* depthwise_upsampling();
  QuantiserPart quantiser_part(const std::string& name, int first, int n);
  ggml_tensor* codebooks(const CodecSpec& spec);
  ggml_tensor* half_norms(const CodecSpec& spec);

 private:
  const TensorInfo& tensor(const std::string& name) const { return checkpoint_.tensor(name); }
  ggml_tensor* vector(const std::string& name) { return store_.vector(tensor(name)); }
  ggml_tensor* matrix(const std::string& name) { return store_.matrix(tensor(name), matrix_type_); }
  ggml_tensor* qkv(const std::string& prefix, const TransformerSpec& spec);
  // {kernel * elements per kernel, rest} of a stored [a, b, kernel] with its bytes in order.
  ggml_tensor* plain(const std::string& name);

  WeightStore& store_;
  const Checkpoint& checkpoint_;
  ggml_type matrix_type_;
  ConvolutionLayout decoder_layout_;
};

// Single elements of a stored tensor.
struct Elements {
  explicit Elements(const TensorInfo& source)
      : bytes(source.fetch()), type(source.type), element_bytes(size_of(source.type)) {}

  void read(int64_t index, int64_t n, float* out) const {
    widen_to_f32(type, bytes.data.data() + static_cast<size_t>(index) * element_bytes, static_cast<size_t>(n), out);
  }

  TensorBytes bytes;
  DType type;
  size_t element_bytes;
};

ggml_tensor* Loader::plain(const std::string& name) {
  const TensorInfo& source = tensor(name);
  const int64_t n = source.shape.at(1) * source.shape.at(2);
  return store_.generated(name, matrix_type_, n, source.shape.at(0), [source, n]() -> FillRows {
    return [elements = Elements(source), n](int64_t first, int64_t n_rows, float* out) {
      elements.read(first * n, n_rows * n, out);
    };
  });
}

Convolution Loader::convolution(const std::string& name, int64_t stride, ConvolutionLayout layout) {
  const TensorInfo& source = tensor(name + ".weight");  // [out, in, kernel]
  Convolution result;
  result.out = source.shape.at(0);
  result.in = source.shape.at(1);
  result.kernel = source.shape.at(2);
  result.stride = stride;
  if (layout == ConvolutionLayout::kPlain) {
    result.weight = plain(name + ".weight");
    return result;
  }
  const int64_t in = result.in;
  const int64_t kernel = result.kernel;
  result.weight =
      store_.generated(source.name, matrix_type_, kernel * in, result.out, [source, in, kernel]() -> FillRows {
        return [elements = Elements(source), in, kernel](int64_t first, int64_t n_rows, float* out) {
          std::vector<float> row(static_cast<size_t>(in * kernel));
          for (int64_t o = first; o < first + n_rows; ++o, out += in * kernel) {
            elements.read(o * in * kernel, in * kernel, row.data());
            for (int64_t k = 0; k < kernel; ++k) {
              for (int64_t c = 0; c < in; ++c) out[k * in + c] = row[static_cast<size_t>(c * kernel + k)];
            }
          }
        };
      });
  return result;
}

Upsampling Loader::upsampling(const std::string& name, int64_t stride) {
  const TensorInfo& source = tensor(name + ".weight");  // [in, out, 2 * stride]
  Upsampling result;
  result.in = source.shape.at(0);
  result.out = source.shape.at(1);
  result.stride = stride;
  result.bias = vector(name + ".bias");
  if (decoder_layout_ == ConvolutionLayout::kPlain) {
    result.weight = plain(name + ".weight");
    return result;
  }
  const int64_t in = result.in;
  const int64_t n_out = result.out;
  result.weight =
      store_.generated(source.name, matrix_type_, 2 * in, stride * n_out, [source, in, n_out, stride]() -> FillRows {
        return [elements = Elements(source), in, n_out, stride](int64_t first, int64_t n_rows, float* out) {
          // Channel by channel, since neighbouring rows of one channel are neighbours in the file.
          for (int64_t c = 0; c < in; ++c) {
            for (int64_t r = 0; r < n_rows; ++r) {
              const int64_t s = (first + r) / n_out;
              const int64_t o = (first + r) % n_out;
              const int64_t index = (c * n_out + o) * 2 * stride + s;
              elements.read(index + stride, 1, out + r * 2 * in + c);  // the previous step's tail
              elements.read(index, 1, out + r * 2 * in + in + c);
            }
          }
        };
      });
  return result;
}

ResidualBlock Loader::block(const std::string& name, ConvolutionLayout layout) {
  ResidualBlock result;
  result.first = convolution(name + ".block.1.conv", 1, layout);
  result.first.bias = vector(name + ".block.1.conv.bias");
  result.second = convolution(name + ".block.3.conv", 1, layout);
  result.second.bias = vector(name + ".block.3.conv.bias");
  return result;
}

void Loader::encoder(MimiWeights& weights) {
  const auto add = [&](size_t i, int64_t stride) {
    const std::string name = fmt::format("encoder.layers.{}.conv", i);
    Convolution result = convolution(name, stride, ConvolutionLayout::kWindow);
    result.bias = vector(name + ".bias");
    return result;
  };
  const auto& ratios = weights.spec.upsampling_ratios;
  weights.encoder_first = add(0, 1);
  for (size_t j = 0; j < ratios.size(); ++j) {
    EncoderStage stage;
    stage.block = block(fmt::format("encoder.layers.{}", 3 * j + 1), ConvolutionLayout::kWindow);
    stage.down = add(3 * j + 3, ratios[ratios.size() - 1 - j]);
    weights.encoder.push_back(stage);
  }
  weights.encoder_last = add(3 * ratios.size() + 2, 1);
  weights.downsample = convolution("downsample.conv", kLatentStride, ConvolutionLayout::kWindow);
}

void Loader::decoder(MimiWeights& weights) {
  const auto add = [&](size_t i) {
    const std::string name = fmt::format("decoder.layers.{}.conv", i);
    Convolution result = convolution(name, 1, decoder_layout_);
    result.bias = vector(name + ".bias");
    return result;
  };
  const auto& ratios = weights.spec.upsampling_ratios;
  weights.upsample = depthwise_upsampling();
  weights.decoder_first = add(0);
  for (size_t j = 0; j < ratios.size(); ++j) {
    DecoderStage stage;
    stage.up = upsampling(fmt::format("decoder.layers.{}.conv", 3 * j + 2), ratios[j]);
    stage.block = block(fmt::format("decoder.layers.{}", 3 * j + 3), decoder_layout_);
    weights.decoder.push_back(stage);
  }
  weights.decoder_last = add(3 * ratios.size() + 2);
}

ggml_tensor* Loader::qkv(const std::string& prefix, const TransformerSpec& spec) {
  std::vector<TensorInfo> parts;
  for (const char* part : {"q_proj", "k_proj", "v_proj"})
    parts.push_back(tensor(fmt::format("{}.{}.weight", prefix, part)));
  int64_t n_rows = 0;
  for (const TensorInfo& part : parts) n_rows += part.shape.at(0);
  const int64_t width = spec.width;
  return store_.generated(prefix + ".qkv", matrix_type_, width, n_rows, [parts, width]() -> FillRows {
    std::vector<Elements> elements(parts.begin(), parts.end());
    return [parts, elements, width](int64_t first, int64_t n, float* out) {
      int64_t begin = 0;  // of the part
      for (size_t i = 0; i < parts.size(); ++i) {
        const int64_t end = begin + parts[i].shape.at(0);
        const int64_t from = std::max(first, begin);
        const int64_t to = std::min(first + n, end);
        if (from < to) elements[i].read((from - begin) * width, (to - from) * width, out + (from - first) * width);
        begin = end;
      }
    };
  });
}

std::vector<CodecLayer> Loader::transformer(const std::string& name, const TransformerSpec& spec) {
  std::vector<CodecLayer> layers;
  for (int i = 0; i < spec.n_layers; ++i) {
    const std::string prefix = fmt::format("{}.layers.{}.", name, i);
    CodecLayer layer;
    layer.norm1 = vector(prefix + "input_layernorm.weight");
    layer.norm1_bias = vector(prefix + "input_layernorm.bias");
    layer.qkv = qkv(prefix + "self_attn", spec);
    layer.out = matrix(prefix + "self_attn.o_proj.weight");
    layer.scale1 = vector(prefix + "self_attn_layer_scale.scale");
    layer.norm2 = vector(prefix + "post_attention_layernorm.weight");
    layer.norm2_bias = vector(prefix + "post_attention_layernorm.bias");
    layer.fc1 = matrix(prefix + "mlp.fc1.weight");
    layer.fc2 = matrix(prefix + "mlp.fc2.weight");
    layer.scale2 = vector(prefix + "mlp_layer_scale.scale");
    layers.push_back(layer);
  }
  return layers;
}

ggml_tensor* Loader::depthwise_upsampling() {
  const TensorInfo& source = tensor("upsample.conv.weight");  // [width, 1, 4]
  const int64_t width = source.shape.at(0);
  return store_.generated(source.name, GGML_TYPE_F32, width, kLatentKernel, [source, width]() -> FillRows {
    return [elements = Elements(source), width](int64_t first, int64_t n_rows, float* out) {
      for (int64_t k = first; k < first + n_rows; ++k) {
        for (int64_t c = 0; c < width; ++c) elements.read(c * kLatentKernel + k, 1, out++);
      }
    };
  });
}

QuantiserPart Loader::quantiser_part(const std::string& name, int first, int n) {
  const std::string prefix = fmt::format("quantizer.{}_residual_vector_quantizer.", name);
  QuantiserPart part;
  part.input_projection = store_.matrix(tensor(prefix + "input_proj.weight"), GGML_TYPE_F32);
  part.output_projection = store_.matrix(tensor(prefix + "output_proj.weight"), GGML_TYPE_F32);
  part.first = first;
  part.n = n;
  return part;
}

// The entries of one codebook, derived in float32 as in the reference.
class CodebookReader {
 public:
  CodebookReader(const Checkpoint& checkpoint, const CodecSpec& spec)
      : size_(spec.codebook_size), dim_(spec.codebook_dim) {
    for (int i = 0; i < spec.n_codebooks; ++i) {
      const bool is_semantic = i < spec.n_semantic_codebooks;
      const std::string prefix =
          fmt::format("quantizer.{}_residual_vector_quantizer.layers.{}.codebook.",
                      is_semantic ? "semantic" : "acoustic", is_semantic ? i : i - spec.n_semantic_codebooks);
      sums_.push_back(checkpoint.tensor(prefix + "embed_sum"));
      usages_.push_back(checkpoint.tensor(prefix + "cluster_usage"));
    }
  }

  int64_t n_rows() const { return static_cast<int64_t>(sums_.size()) * size_; }

  // Rows [first, first + n) of all codebooks under each other, each from its last code to its first.
  void read(int64_t first, int64_t n, float* out) const {
    for (int64_t row = first; row < first + n;) {
      const auto codebook = static_cast<size_t>(row / size_);
      const int64_t end = std::min(first + n, (row / size_ + 1) * size_);
      const Elements sums(sums_[codebook]);
      const Elements usages(usages_[codebook]);
      for (; row < end; ++row, out += dim_) {
        const int64_t code = size_ - 1 - row % size_;
        float usage = 0;
        usages.read(code, 1, &usage);
        sums.read(code * dim_, dim_, out);
        for (int64_t i = 0; i < dim_; ++i) out[i] /= std::max(usage, kMinUsage);
      }
    }
  }

 private:
  int64_t size_;
  int64_t dim_;
  std::vector<TensorInfo> sums_;
  std::vector<TensorInfo> usages_;
};

ggml_tensor* Loader::codebooks(const CodecSpec& spec) {
  const CodebookReader reader(checkpoint_, spec);
  const int64_t dim = spec.codebook_dim;
  return store_.generated("quantizer.codebooks", GGML_TYPE_F32, dim, reader.n_rows() + 1, [reader, dim]() -> FillRows {
    return [reader, dim](int64_t first, int64_t n, float* out) {
      const int64_t n_entries = std::min(n, reader.n_rows() - first);
      reader.read(first, n_entries, out);
      std::fill(out + n_entries * dim, out + n * dim, 0.0f);
    };
  });
}

ggml_tensor* Loader::half_norms(const CodecSpec& spec) {
  const CodebookReader reader(checkpoint_, spec);
  const int64_t size = spec.codebook_size;
  const int64_t dim = spec.codebook_dim;
  return store_.generated("quantizer.half_norms", GGML_TYPE_F32, size, spec.n_codebooks,
                          [reader, size, dim]() -> FillRows {
                            return [reader, size, dim](int64_t first, int64_t n, float* out) {
                              std::vector<float> entries(static_cast<size_t>(size * dim));
                              for (int64_t codebook = first; codebook < first + n; ++codebook) {
                                reader.read(codebook * size, size, entries.data());
                                for (int64_t row = 0; row < size; ++row) {
                                  double sum = 0;
                                  for (int64_t i = 0; i < dim; ++i) {
                                    const double value = entries[static_cast<size_t>(row * dim + i)];
                                    sum += value * value;
                                  }
                                  *out++ = static_cast<float>(sum / 2);
                                }
                              }
                            };
                          });
}

}  // namespace

MimiWeights::MimiWeights(std::shared_ptr<Device> device, const Checkpoint& checkpoint, WeightType type,
                         ConvolutionLayout decoder_layout)
    : spec(checkpoint.spec().codec), store(std::move(device), false) {
  if (type != WeightType::kF32 && type != WeightType::kF16) {
    fail(ErrorCode::kInvalidArgument, "the codec's weights can be f32 or f16 only");
  }
  Loader loader(store, checkpoint, weight_type(type, DType::kF32), decoder_layout);
  loader.encoder(*this);
  encoder_transformer = loader.transformer("encoder_transformer", spec.transformer);
  decoder_transformer = loader.transformer("decoder_transformer", spec.transformer);
  loader.decoder(*this);
  semantic = loader.quantiser_part("semantic", 0, spec.n_semantic_codebooks);
  acoustic = loader.quantiser_part("acoustic", spec.n_semantic_codebooks, spec.n_codebooks - spec.n_semantic_codebooks);
  codebooks = loader.codebooks(spec);
  half_norms = loader.half_norms(spec);
  std::vector<float> inverse;
  for (const double frequency : rope_frequencies(spec.transformer.rope, spec.transformer.head_dim)) {
    inverse.push_back(static_cast<float>(1 / frequency));
  }
  inverse_frequencies = store.constant(std::move(inverse));
  store.load();
}

}  // namespace csm::ggml
