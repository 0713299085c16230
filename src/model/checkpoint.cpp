#include "model/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "io/file.h"
#include "model/affine.h"
#include "model/finite_check.h"
#include "model/manifest.h"
#include "model/mlx_layout.h"
#include "model/row_order.h"
#include "model/tensor_names.h"

namespace csm {
namespace {

constexpr size_t kMaxListed = 8;
constexpr size_t kMaxItemBytes = 120;
constexpr size_t kChunk = 4096;
constexpr ModelPart kParts[] = {ModelPart::kText, ModelPart::kAudio, ModelPart::kBackbone, ModelPart::kDepth,
                                ModelPart::kCodec};

std::string shortened(std::string text) {
  if (text.size() > kMaxItemBytes) text = text.substr(0, kMaxItemBytes) + "...";
  return text;
}

// A name out of a file, fit for a one-line message.
std::string label(const std::string& name) {
  return shortened(nlohmann::json(name).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

std::string found_text(const TensorInfo& tensor) { return shortened(tensor.describe()); }

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Items of one kind of trouble, of which a message lists the first few.
class Listing {
 public:
  explicit Listing(const char* title) : title_(title) {}

  void add(std::string item) {
    if (items_.size() < kMaxListed) items_.push_back(std::move(item));
    ++n_items_;
  }
  size_t size() const { return n_items_; }

  // "missing: a, b and 3 more"; empty when there is nothing.
  std::string text() const {
    if (n_items_ == 0) return "";
    const std::string more = n_items_ > items_.size() ? fmt::format(" and {} more", n_items_ - items_.size()) : "";
    return fmt::format("{}: {}{}", title_, fmt::join(items_, ", "), more);
  }

 private:
  const char* title_;
  std::vector<std::string> items_;
  size_t n_items_ = 0;
};

// Piece by piece, since such tables may be larger than the memory that a conversion may take.
bool same_bytes(const TensorBytes& a, const TensorBytes& b) {
  constexpr size_t kPiece = size_t{16} << 20;
  for (size_t begin = 0; begin < a.data.size(); begin += kPiece) {
    const size_t n = std::min(kPiece, a.data.size() - begin);
    if (std::memcmp(a.data.data() + begin, b.data.data() + begin, n) != 0) return false;
    if (a.is_mapped) release_pages(a.data.subspan(begin, n));
    if (b.is_mapped) release_pages(b.data.subspan(begin, n));
  }
  return true;
}

bool same_values(const TensorInfo& a, const TensorInfo& b) {
  if (a.shape != b.shape || !is_floating(a.type) || !is_floating(b.type)) return false;
  const TensorBytes a_bytes = a.fetch();
  const TensorBytes b_bytes = b.fetch();
  if (a.type == b.type) return same_bytes(a_bytes, b_bytes);
  std::vector<float> a_values(kChunk);
  std::vector<float> b_values(kChunk);
  const auto n = static_cast<size_t>(a.n_elements());
  for (size_t begin = 0; begin < n; begin += kChunk) {
    const size_t count = std::min(kChunk, n - begin);
    widen_to_f32(a.type, a_bytes.data.data() + begin * size_of(a.type), count, a_values.data());
    widen_to_f32(b.type, b_bytes.data.data() + begin * size_of(b.type), count, b_values.data());
    if (!std::equal(a_values.begin(), a_values.begin() + static_cast<std::ptrdiff_t>(count), b_values.begin()))
      return false;
  }
  return true;
}

}  // namespace

class CheckpointBuilder {
 public:
  CheckpointBuilder(ModelSpec spec, std::string where) : where_(std::move(where)), result_(new Checkpoint) {
    result_->spec_ = std::move(spec);
    manifest_ = manifest(result_->spec_);
  }

  std::shared_ptr<const Checkpoint> build(const std::vector<TensorInfo>& sources, WeightCheck check) {
    for (const TensorInfo& source : sources) take(source);
    resolve_audio_tables();
    resolve_head_rows();
    match_manifest();
    order_rows();
    if (check == WeightCheck::kValues) check_values();
    finish_unknown();
    fail_on_problems();
    name_layout();
    return result_;
  }

 private:
  struct Found {
    TensorInfo tensor;
    std::string source;  // its name in the file
    bool used = false;
  };

  void take(const TensorInfo& source) {
    const CanonicalName canonical = canonical_name(source.name);
    if (canonical.is_ignored) return;
    has_original_lm_ = has_original_lm_ || canonical.family == NameFamily::kOriginalLanguageModel;
    has_original_codec_ = has_original_codec_ || canonical.family == NameFamily::kOriginalCodec;
    if (canonical.is_stacked_qkv) {
      take_stacked(canonical.name, source);
    } else {
      insert(canonical.name, source, source.name);
    }
  }

  // Rows of q, k and v in one tensor: three views of the same bytes.
  void take_stacked(const std::string& prefix, const TensorInfo& source) {
    const TransformerSpec& stack = result_->spec_.codec.transformer;
    const int64_t q_rows = int64_t{stack.n_heads} * stack.head_dim;
    const int64_t kv_rows = int64_t{stack.n_kv_heads} * stack.head_dim;
    if (source.shape != std::vector<int64_t>{q_rows + 2 * kv_rows, stack.width}) {
      misshapen_.add(fmt::format("{} is {}, expected {}", label(source.name), found_text(source),
                                 shape_text({q_rows + 2 * kv_rows, stack.width})));
      rejected_prefixes_.push_back(prefix);
      return;
    }
    insert(prefix + "q_proj.weight", row_slice(source, 0, q_rows), source.name);
    insert(prefix + "k_proj.weight", row_slice(source, q_rows, kv_rows), source.name);
    insert(prefix + "v_proj.weight", row_slice(source, q_rows + kv_rows, kv_rows), source.name);
  }

  void insert(const std::string& name, TensorInfo tensor, const std::string& source) {
    tensor.name = name;
    const auto [it, is_new] = found_.try_emplace(name, Found{std::move(tensor), source, false});
    if (!is_new) twice_.add(fmt::format("{} (as {} and {})", name, label(it->second.source), label(source)));
  }

  // A tied table may be stored once, under either name, or twice. Of two that differ the depth decoder's is used, as in
  // Transformers.
  void resolve_audio_tables() {
    if (!result_->spec_.tied_audio_embeddings) return;
    const auto depth = found_.find(kDepthAudioTable);
    if (depth == found_.end()) return;
    const auto backbone = found_.find(kBackboneAudioTable);
    if (backbone != found_.end() && !same_values(backbone->second.tensor, depth->second.tensor)) {
      result_->warnings_.push_back(
          fmt::format("tie_codebooks_embeddings is true, but '{}' and '{}' differ; the latter is used for both",
                      kBackboneAudioTable, kDepthAudioTable));
    }
    Found table = depth->second;
    table.tensor.name = kBackboneAudioTable;
    found_.erase(depth);
    found_.insert_or_assign(kBackboneAudioTable, std::move(table));
  }

  // Heads stored as rows also answer to the canonical names, through views of the canonical shapes.
  void resolve_head_rows() {
    const ModelSpec& spec = result_->spec_;
    const auto first = found_.find(kFirstHeadRows);
    const auto others = found_.find(kDepthHeadRows);
    if (!spec.has_language_model || first == found_.end() || others == found_.end()) return;
    const TensorInfo first_rows = first->second.tensor;
    const TensorInfo other_rows = others->second.tensor;
    if (!is_stack_of_rows(first->second, {}, spec.backbone.width) ||
        !is_stack_of_rows(others->second, {spec.n_codebooks - 1}, spec.depth.width)) {
      rejected_prefixes_.insert(rejected_prefixes_.end(), {"lm_head.", "depth_decoder.codebooks_head."});
      return;
    }
    result_->head_rows_.push_back(first_rows);
    for (int64_t i = 0; i < other_rows.shape[0]; ++i) {
      TensorInfo slab = row_slice(other_rows, i, 1);
      slab.shape.erase(slab.shape.begin());
      result_->head_rows_.push_back(std::move(slab));
    }
    insert("lm_head.weight", row_slice(first_rows, 0, spec.audio_vocab), kFirstHeadRows);
    insert("depth_decoder.codebooks_head.weight", transposed_slabs(other_rows, spec.audio_vocab), kDepthHeadRows);
  }

  // [outer..., rows >= vocabulary, width]
  bool is_stack_of_rows(Found& found, std::vector<int64_t> outer, int64_t width) {
    found.used = true;
    const std::vector<int64_t>& shape = found.tensor.shape;
    const size_t n = outer.size();
    const int64_t vocab = result_->spec_.audio_vocab;
    const bool fits = shape.size() == n + 2 && std::equal(outer.begin(), outer.end(), shape.begin()) &&
                      shape[n] >= vocab && shape[n + 1] == width;
    if (fits) return true;
    outer.insert(outer.end(), {vocab, width});
    misshapen_.add(fmt::format("{} is {}, expected {} or more rows", label(found.source), found_text(found.tensor),
                               shape_text(outer)));
    return false;
  }

  // From interleaved rotary pairs to half-split ones, so that all layouts give the same numbers.
  void order_rows() {
    const ModelSpec& spec = result_->spec_;
    if (has_original_lm_) {
      order_stack("backbone_model.", spec.backbone);
      order_stack("depth_decoder.model.", spec.depth);
    }
    if (!has_original_codec_) return;
    order_stack("encoder_transformer.", spec.codec.transformer);
    order_stack("decoder_transformer.", spec.codec.transformer);
  }

  void order_stack(const std::string& prefix, const TransformerSpec& stack) {
    for (int i = 0; i < stack.n_layers; ++i) {
      for (const char* name : {"q_proj", "k_proj"}) {
        const auto it = result_->tensors_.find(fmt::format("{}layers.{}.self_attn.{}.weight", prefix, i, name));
        if (it != result_->tensors_.end()) it->second = half_split_rows(it->second, stack.head_dim);
      }
    }
  }

  void match_manifest() {
    for (const ManifestEntry& entry : manifest_) {
      const auto it = found_.find(entry.name);
      if (it == found_.end()) {
        if (!is_rejected(entry.name)) ++n_missing_[static_cast<size_t>(entry.part)];
        continue;
      }
      it->second.used = true;
      check_entry(entry, it->second);
    }
    list_missing();
  }

  bool is_rejected(const std::string& name) const {
    return std::any_of(rejected_prefixes_.begin(), rejected_prefixes_.end(), [&](const std::string& prefix) {
      return name.compare(0, prefix.size(), prefix) == 0 && found_.count(name) == 0;
    });
  }

  size_t n_entries(ModelPart part) const {
    return static_cast<size_t>(
        std::count_if(manifest_.begin(), manifest_.end(), [&](const ManifestEntry& e) { return e.part == part; }));
  }

  // A part of which everything is missing is one item, and comes first.
  void list_missing() {
    bool whole[std::size(kParts)] = {};
    for (const ModelPart part : kParts) {
      const auto i = static_cast<size_t>(part);
      whole[i] = n_missing_[i] > 2 && n_missing_[i] == n_entries(part);
      if (whole[i]) missing_.add(fmt::format("all {} tensors of the {}", n_missing_[i], to_string(part)));
    }
    for (const ManifestEntry& entry : manifest_) {
      const bool listed =
          whole[static_cast<size_t>(entry.part)] || found_.count(entry.name) > 0 || is_rejected(entry.name);
      if (!listed) missing_.add(entry.name);
    }
  }

  void check_entry(const ManifestEntry& entry, const Found& found) {
    if (found.tensor.shape != entry.shape) {
      misshapen_.add(
          fmt::format("{} is {}, expected {}", label(found.source), found_text(found.tensor), shape_text(entry.shape)));
    } else if (!is_floating(found.tensor.type) && !(is_quantised(found.tensor.type) && may_be_quantised(entry))) {
      mistyped_.add(
          fmt::format("{} is {}, expected F32, F16, BF16 or F64", label(found.source), found_text(found.tensor)));
    } else {
      result_->tensors_.emplace(entry.name, found.tensor);
      result_->names_.push_back(entry.name);
    }
  }

  static bool may_be_quantised(const ManifestEntry& entry) {
    return entry.may_quantise || entry.use == TensorUse::kTable;
  }

  void check_values() {
    std::vector<const TensorInfo*> tensors;
    std::vector<std::string> sources;  // of each
    const auto add = [&](const TensorInfo& tensor, const TensorInfo& whole) {
      tensors.push_back(&tensor);
      sources.push_back(found_.at(whole.name).source);
    };
    for (const std::string& name : result_->names_) {
      const bool in_rows = !result_->head_rows_.empty() && name == "depth_decoder.codebooks_head.weight";
      const TensorInfo& tensor = in_rows ? found_.at(kDepthHeadRows).tensor : result_->tensors_.at(name);
      // Of groupwise quantised rows only these can be other than finite.
      if (tensor.affine) add(tensor.affine->scales, tensor);
      add(tensor.affine ? tensor.affine->biases : tensor, tensor);
    }
    const std::vector<bool> bad = find_non_finite(tensors);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (bad[i] && (i == 0 || !bad[i - 1] || sources[i] != sources[i - 1])) non_finite_.add(label(sources[i]));
    }
  }

  void finish_unknown() {
    std::vector<std::string> names;
    for (const auto& [name, found] : found_) {
      if (!found.used) names.push_back(found.source);
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) unknown_.add(label(name));
    if (unknown_.size() > 0) result_->warnings_.push_back(fmt::format("{} (ignored)", unknown_.text()));
  }

  void fail_on_problems() const {
    size_t n_problems = 0;
    std::string text;
    for (const Listing* listing : {&missing_, &misshapen_, &mistyped_, &non_finite_, &twice_}) {
      if (listing->size() == 0) continue;
      n_problems += listing->size();
      text += (text.empty() ? "" : "; ") + listing->text();
    }
    if (n_problems == 0) return;
    if (unknown_.size() > 0) text += "; " + unknown_.text();
    fail(ErrorCode::kInvalidData, "'{}' does not hold the weights that its configuration describes: {}", where_, text);
  }

  void name_layout() {
    const bool has_lm = result_->spec_.has_language_model;
    const bool has_rows = !result_->head_rows_.empty();
    result_->layout_ = !has_lm ? "mimi" : has_rows ? "gguf" : has_original_lm_ ? "original" : "transformers";
    if (has_lm && result_->spec_.tied_audio_embeddings) {
      result_->tensors_.emplace(kDepthAudioTable, result_->tensors_.at(kBackboneAudioTable));
    }
  }

  std::string where_;
  std::shared_ptr<Checkpoint> result_;
  std::vector<ManifestEntry> manifest_;
  std::unordered_map<std::string, Found> found_;  // by canonical name
  // Of stacked tensors whose shape is wrong: their parts are not missing besides.
  std::vector<std::string> rejected_prefixes_;
  size_t n_missing_[std::size(kParts)] = {};  // by ModelPart
  bool has_original_lm_ = false;
  bool has_original_codec_ = false;
  Listing missing_{"missing"};
  Listing misshapen_{"wrong shape"};
  Listing mistyped_{"wrong type"};
  Listing non_finite_{"NaN or infinite values"};
  Listing twice_{"given twice"};
  Listing unknown_{"tensors that are not part of the model"};
};

std::shared_ptr<const Checkpoint> Checkpoint::create(ModelSpec spec, std::vector<TensorInfo> tensors,
                                                     const std::string& where, WeightCheck check) {
  const std::vector<TensorInfo> unpacked = unpack_mlx(tensors, spec, where);
  return CheckpointBuilder(std::move(spec), where).build(unpacked, check);
}

const TensorInfo& Checkpoint::tensor(const std::string& canonical_name) const {
  const auto it = tensors_.find(canonical_name);
  if (it == tensors_.end())
    fail(ErrorCode::kInternal, "no tensor '{}' in the manifest of this {} model", canonical_name, layout_);
  return it->second;
}

}  // namespace csm
