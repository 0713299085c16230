#include "convert/mlx_convert.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "io/file.h"
#include "model/manifest.h"

namespace csm {
namespace {

using nlohmann::json;

constexpr uint64_t kHeaderAlignment = 8;
constexpr size_t kChunkElements = size_t{1} << 20;  // of float32: 4 MB
constexpr const char* kAudioHead = "depth_decoder.codebooks_head.weight";

struct Rename {
  std::string_view from;
  std::string_view to;
};

// Beginnings of canonical names, longest first where one begins another.
constexpr Rename kNames[] = {
    {kBackboneAudioTable, "audio_embeddings.weight"},
    {kDepthAudioTable, "decoder.audio_embeddings.weight"},
    {"embed_text_tokens.weight", "text_embeddings.weight"},
    {"lm_head.weight", "codebook0_head.weight"},
    {kAudioHead, "audio_head"},
    {"depth_decoder.model.inputs_embeds_projector.weight", "projection.weight"},
    {"backbone_model.", "backbone."},
    {"depth_decoder.model.", "decoder."},
};

bool starts_with(const std::string& text, std::string_view head) { return text.compare(0, head.size(), head) == 0; }

std::string without_weight(const std::string& name) { return name.substr(0, name.size() - std::strlen(".weight")); }

enum class Content { kValues, kWords, kScales, kBiases };

// One tensor of the file.
struct Output {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;
  Content content = Content::kValues;
  size_t source = 0;  // among the inputs

  uint64_t n_bytes() const {
    uint64_t n = size_of(type);
    for (const int64_t extent : shape) n *= static_cast<uint64_t>(extent);
    return n;
  }
};

// Rows of a stored tensor as float32, in the order of the file to be written.
class RowReader {
 public:
  // pair_size: the size of heads whose half-split rotary pairs become neighbours; 0: rows stay where they are.
  RowReader(const TensorInfo& source, int64_t pair_size)
      : bytes_(source.fetch()), type_(source.type), n_(source.shape.back()), pair_size_(pair_size) {
    if (is_quantised(type_)) {
      fail(ErrorCode::kUnsupported, "'{}' is already quantised ({}); convert the unquantised model", source.name,
           to_string(type_));
    }
  }
  ~RowReader() {
    if (bytes_.is_mapped) release_pages(bytes_.data);
  }
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  void read(int64_t first, int64_t n_rows, float* out) const {
    for (int64_t row = first; row < first + n_rows; ++row, out += n_) {
      const auto offset = static_cast<size_t>(source_row(row) * n_) * size_of(type_);
      widen_to_f32(type_, bytes_.data.data() + offset, static_cast<size_t>(n_), out);
    }
  }

 private:
  int64_t source_row(int64_t row) const {
    if (pair_size_ == 0) return row;
    const int64_t head = row / pair_size_ * pair_size_;
    const int64_t i = row % pair_size_;
    return head + i / 2 + (i % 2) * (pair_size_ / 2);
  }

  TensorBytes bytes_;
  DType type_;
  int64_t n_;
  int64_t pair_size_;
};

std::vector<std::byte> encoded(std::span<const float> values, DType type) {
  std::vector<std::byte> bytes(values.size() * size_of(type));
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == DType::kF32) {
      std::memcpy(bytes.data() + i * sizeof(float), &values[i], sizeof(float));
    } else {
      const uint16_t half = type == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
      std::memcpy(bytes.data() + i * sizeof half, &half, sizeof half);
    }
  }
  return bytes;
}

// Writes one safetensors file, a tensor after the other.
class ModelWriter {
 public:
  ModelWriter(const Checkpoint& checkpoint, const std::string& path, const MlxProgress& progress)
      : checkpoint_(checkpoint), path_(path), progress_(progress), file_(path) {}

  // A dtype of kF64 keeps the stored types.
  void add(const MlxPlanEntry& entry, DType dtype);
  void write();

 private:
  struct Scales {
    std::vector<float> scales;
    std::vector<float> biases;
  };
  void write_header();
  void write_values(const Output& output);
  void write_words(const Output& output);
  void report(const Output& output);
  int64_t pair_size(const MlxPlanEntry& entry) const;

  const Checkpoint& checkpoint_;
  std::string path_;
  const MlxProgress& progress_;
  AtomicFile file_;
  std::vector<MlxPlanEntry> entries_;
  std::vector<DType> dtypes_;
  std::vector<Output> outputs_;
  std::map<size_t, Scales> scales_;  // of entries whose words are written and whose scales are not
  uint64_t n_done_ = 0;
  uint64_t n_total_ = 0;
};

void ModelWriter::add(const MlxPlanEntry& entry, DType dtype) {
  const TensorInfo& source = checkpoint_.tensor(entry.canonical);
  const size_t index = entries_.size();
  entries_.push_back(entry);
  dtypes_.push_back(dtype == DType::kF64 ? source.type : dtype);
  if (entry.format.bits == 0) {
    outputs_.push_back({entry.name, dtypes_.back(), source.shape, Content::kValues, index});
    return;
  }
  const int64_t n_rows = source.shape.at(0);
  const int64_t n = source.shape.at(1);
  const std::string base = without_weight(entry.name);
  const std::vector<int64_t> groups = {n_rows, affine_groups(entry.format, n)};
  outputs_.push_back({entry.name, DType::kU32, {n_rows, affine_words(entry.format, n)}, Content::kWords, index});
  outputs_.push_back({base + ".scales", dtype, groups, Content::kScales, index});
  outputs_.push_back({base + ".biases", dtype, groups, Content::kBiases, index});
}

void ModelWriter::write_header() {
  // Wide types first, so that every tensor is aligned.
  std::stable_sort(outputs_.begin(), outputs_.end(),
                   [](const Output& a, const Output& b) { return size_of(a.type) > size_of(b.type); });
  json header = json::object();
  header["__metadata__"] = {{"format", "mlx"}};
  for (const Output& output : outputs_) {
    if (header.contains(output.name)) {
      fail(ErrorCode::kInvalidArgument, "two tensors would be named '{}' in '{}'; change the name mapping", output.name,
           path_);
    }
    header[output.name] = {{"dtype", to_string(output.type)},
                           {"shape", output.shape},
                           {"data_offsets", {n_total_, n_total_ + output.n_bytes()}}};
    n_total_ += output.n_bytes();
  }
  std::string text = header.dump();
  text.append((kHeaderAlignment - text.size() % kHeaderAlignment) % kHeaderAlignment, ' ');
  unsigned char length[sizeof(uint64_t)];
  for (size_t i = 0; i < sizeof length; ++i) length[i] = static_cast<unsigned char>(uint64_t{text.size()} >> (8 * i));
  file_.write(length, sizeof length);
  file_.write(text);
}

void ModelWriter::report(const Output& output) {
  n_done_ += output.n_bytes();
  if (progress_ && !progress_(output.name, n_done_, n_total_))
    fail(ErrorCode::kCancelled, "the conversion was stopped at '{}'", output.name);
}

// The heads' size of q and k rows of the language model, which the MLX layout has interleaved.
int64_t ModelWriter::pair_size(const MlxPlanEntry& entry) const {
  const bool is_qk = entry.canonical.find(".self_attn.q_proj.") != std::string::npos ||
                     entry.canonical.find(".self_attn.k_proj.") != std::string::npos;
  if (!is_qk) return 0;
  if (starts_with(entry.canonical, "backbone_model.")) return checkpoint_.spec().backbone.head_dim;
  return starts_with(entry.canonical, "depth_decoder.") ? checkpoint_.spec().depth.head_dim : 0;
}

void ModelWriter::write_values(const Output& output) {
  const MlxPlanEntry& entry = entries_[output.source];
  const TensorInfo& source = checkpoint_.tensor(entry.canonical);
  const RowReader rows(source, pair_size(entry));
  const int64_t n = source.shape.back();
  const int64_t n_rows = n > 0 ? source.n_elements() / n : 0;
  const int64_t rows_per_chunk = std::max<int64_t>(1, static_cast<int64_t>(kChunkElements) / std::max<int64_t>(1, n));
  std::vector<float> values;
  for (int64_t first = 0; first < n_rows; first += rows_per_chunk) {
    const int64_t count = std::min(rows_per_chunk, n_rows - first);
    values.resize(static_cast<size_t>(count * n));
    rows.read(first, count, values.data());
    const std::vector<std::byte> bytes = encoded(values, output.type);
    file_.write(bytes.data(), bytes.size());
  }
}

void ModelWriter::write_words(const Output& output) {
  const MlxPlanEntry& entry = entries_[output.source];
  const TensorInfo& source = checkpoint_.tensor(entry.canonical);
  const RowReader rows(source, pair_size(entry));
  const int64_t n_rows = source.shape.at(0);
  const auto n = static_cast<size_t>(source.shape.at(1));
  const auto n_groups = static_cast<size_t>(affine_groups(entry.format, source.shape.at(1)));
  Scales& kept = scales_[output.source];
  kept.scales.resize(static_cast<size_t>(n_rows) * n_groups);
  kept.biases.resize(kept.scales.size());
  std::vector<float> values(n);
  std::vector<uint32_t> words(static_cast<size_t>(output.shape.at(1)));
  for (size_t row = 0; row < static_cast<size_t>(n_rows); ++row) {
    rows.read(static_cast<int64_t>(row), 1, values.data());
    quantise_affine(entry.format, values, dtypes_[output.source], words.data(), kept.scales.data() + row * n_groups,
                    kept.biases.data() + row * n_groups);
    file_.write(words.data(), words.size() * sizeof(uint32_t));
  }
}

void ModelWriter::write() {
  write_header();
  for (const Output& output : outputs_) {
    switch (output.content) {
      case Content::kValues:
        write_values(output);
        break;
      case Content::kWords:
        write_words(output);
        break;
      case Content::kScales:
      case Content::kBiases: {
        const Scales& kept = scales_.at(output.source);
        const std::vector<std::byte> bytes =
            encoded(output.content == Content::kScales ? kept.scales : kept.biases, output.type);
        file_.write(bytes.data(), bytes.size());
        if (output.content == Content::kBiases) scales_.erase(output.source);
        break;
      }
    }
    report(output);
  }
  file_.commit();
}

void check_groups(const ManifestEntry& entry, const AffineFormat& format) {
  if (is_affine_format(format, entry.shape.at(1))) return;
  fail(ErrorCode::kUnsupported,
       "'{}' cannot be quantised to {} bits in groups of {}: its rows have {} elements; use another group size, or "
       "leave this part as it is",
       entry.name, format.bits, format.group_size, entry.shape.at(1));
}

}  // namespace

std::string mlx_name(const std::string& canonical, const MlxFormat& format) {
  for (const auto& [from, to] : format.names) {
    if (starts_with(canonical, from)) return to + canonical.substr(from.size());
  }
  for (const Rename& rename : kNames) {
    if (starts_with(canonical, rename.from)) return std::string(rename.to) + canonical.substr(rename.from.size());
  }
  return canonical;
}

std::vector<MlxPlanEntry> mlx_plan(const Checkpoint& checkpoint, const MlxFormat& format) {
  std::vector<MlxPlanEntry> plan;
  for (const ManifestEntry& entry : manifest(checkpoint.spec())) {
    if (entry.part == ModelPart::kCodec) continue;
    MlxPlanEntry planned{entry.name, mlx_name(entry.name, format), {}};
    const bool in_layers = entry.name.find(".layers.") != std::string::npos;
    if (entry.may_quantise && entry.shape.size() == 2) {
      planned.format =
          starts_with(entry.name, "backbone_model.") || entry.name == "lm_head.weight" ? format.backbone : format.depth;
      // Projection and first head are small and sensitive: never below 8 bits.
      if (planned.format.bits > 0 && !in_layers) planned.format.bits = 8;
      if (planned.format.bits > 0) check_groups(entry, planned.format);
    }
    plan.push_back(std::move(planned));
  }
  return plan;
}

void write_mlx_model(const Checkpoint& checkpoint, const MlxFormat& format, const std::string& path,
                     const MlxProgress& progress) {
  ModelWriter writer(checkpoint, path, progress);
  for (const MlxPlanEntry& entry : mlx_plan(checkpoint, format)) writer.add(entry, format.dtype);
  writer.write();
}

void write_mlx_codec(const Checkpoint& checkpoint, const std::string& path, const MlxProgress& progress) {
  ModelWriter writer(checkpoint, path, progress);
  for (const ManifestEntry& entry : manifest(checkpoint.spec())) {
    if (entry.part == ModelPart::kCodec) writer.add({entry.name, entry.name, {}}, DType::kF64);
  }
  writer.write();
}

json mlx_quantization(const std::vector<MlxPlanEntry>& plan) {
  const auto first =
      std::find_if(plan.begin(), plan.end(), [](const MlxPlanEntry& entry) { return entry.format.bits > 0; });
  if (first == plan.end()) return nullptr;
  const auto described = [](const AffineFormat& format) {
    return json{{"group_size", format.group_size}, {"bits", format.bits}};
  };
  json result = described(first->format);
  result["mode"] = "affine";
  for (const MlxPlanEntry& entry : plan) {
    if (entry.format.bits > 0 && !(entry.format == first->format))
      result[without_weight(entry.name)] = described(entry.format);
  }
  return result;
}

}  // namespace csm
