// Words of --type -> types of parts -> the type and place of every tensor.
#include <algorithm>
#include <cctype>

#include "base/fail.h"
#include "convert/gguf_convert.h"
#include "model/row_order.h"
#include "model/tensor_names.h"

namespace csm {
namespace {

constexpr WeightType kAll[] = {WeightType::kF32,  WeightType::kF16,  WeightType::kBF16,
                               WeightType::kQ8_0, WeightType::kQ6_K, WeightType::kQ5_K,
                               WeightType::kQ4_K, WeightType::kQ4_0, WeightType::kIQ4_NL};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool is_quantised_type(WeightType type) {
  const std::optional<DType> dtype = dtype_of(type);
  return dtype && is_quantised(*dtype);
}

WeightType parse_type(const std::string& text) {
  if (lower(text) == "stored") return WeightType::kAsStored;
  std::string known = "stored";
  for (const WeightType type : kAll) {
    if (lower(text) == lower(to_string(type))) return type;
    known += std::string(", ") + to_string(type);
  }
  fail(ErrorCode::kInvalidArgument,
       "type is '{}'; expected one of {}, or parts as in 'backbone=q4_K,depth=q6_K,tables=f16,codec=f16'", text, known);
}

// One type for everything it fits.
void set_all(GgufTypes& types, WeightType type) {
  types.backbone = types.depth = type;
  if (is_quantised_type(type)) return;
  types.tables = type;
  types.codec = type == WeightType::kBF16 ? WeightType::kAsStored : type;  // the codec is never computed in bf16
}

void set_part(GgufTypes& types, const std::string& part, WeightType type, const std::string& item) {
  if (part == "backbone") {
    types.backbone = type;
  } else if (part == "depth") {
    types.depth = type;
  } else if (part == "tables") {
    if (is_quantised_type(type)) {
      fail(ErrorCode::kInvalidArgument,
           "type has '{}', but embedding tables are never quantised; expected stored, f32, f16 or bf16", item);
    }
    types.tables = type;
  } else if (part == "codec") {
    if (is_quantised_type(type) || type == WeightType::kBF16) {
      fail(ErrorCode::kInvalidArgument, "type has '{}'; the codec can be stored, f32 or f16", item);
    }
    types.codec = type;
  } else {
    fail(ErrorCode::kInvalidArgument, "type has '{}'; the parts are backbone, depth, tables and codec", item);
  }
}

// A type that files hold and backends compute with.
DType usable(DType stored) {
  return stored == DType::kF16 || stored == DType::kBF16 || is_quantised(stored) ? stored : DType::kF32;
}

// What stays f32 in the codec: its small, exact parts.
bool is_exact_codec_part(const ManifestEntry& entry) {
  return entry.name.rfind("quantizer.", 0) == 0 || entry.name.rfind("upsample.", 0) == 0;
}

DType target_of(const ManifestEntry& entry, DType stored, const GgufTypes& types) {
  const auto chosen = [&](WeightType type) { return dtype_of(type).value_or(usable(stored)); };
  if (entry.use == TensorUse::kVector || entry.use == TensorUse::kCodebook) return DType::kF32;
  if (entry.use == TensorUse::kTable) return chosen(types.tables);
  if (entry.part == ModelPart::kCodec) return is_exact_codec_part(entry) ? DType::kF32 : chosen(types.codec);
  return chosen(matrix_type(entry, entry.part == ModelPart::kDepth ? types.depth : types.backbone));
}

void place(const ManifestEntry& entry, GgufPlanEntry& planned) {
  planned.name = gguf_name(entry.name);
  planned.shape = entry.shape;
  if (entry.name == "lm_head.weight") {
    planned.name = kFirstHeadRows;
    planned.shape = {padded_head_rows(entry.shape[0]), entry.shape[1]};
  } else if (entry.name == "depth_decoder.codebooks_head.weight") {
    planned.name = kDepthHeadRows;
    planned.shape = {entry.shape[0], padded_head_rows(entry.shape[2]), entry.shape[1]};
  }
}

void check_entry(const GgufPlanEntry& entry) {
  if (is_quantised(entry.from) && entry.from != entry.to) {
    fail(ErrorCode::kInvalidArgument,
         "'{}' is stored as {} and cannot become {}: quantised weights stay as they are; convert from the float "
         "weights, or leave out the type",
         entry.name, to_string(entry.from), to_string(entry.to));
  }
  const auto block = static_cast<int64_t>(block_elements(entry.to));
  if (entry.shape.back() % block == 0) return;
  fail(ErrorCode::kUnsupported,
       "'{}' cannot be quantised to {}: its rows have {} elements, which blocks of {} do not divide; use another type "
       "for the {}",
       entry.name, to_string(entry.to), entry.shape.back(), block, to_string(entry.part));
}

}  // namespace

GgufTypes parse_gguf_types(const std::string& text) {
  GgufTypes types;
  std::vector<std::string> named;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const size_t equals = item.find('=');
    if (equals == std::string::npos) {
      if (begin > 0)
        fail(ErrorCode::kInvalidArgument, "type has '{}' behind others; a type without a part comes first", item);
      set_all(types, parse_type(item));
    } else {
      const std::string part = lower(item.substr(0, equals));
      if (std::find(named.begin(), named.end(), part) != named.end()) {
        fail(ErrorCode::kInvalidArgument, "type '{}' names {} twice", text, part);
      }
      named.push_back(part);
      set_part(types, part, parse_type(item.substr(equals + 1)), item);
    }
    begin = end + 1;
  }
  return types;
}

std::vector<GgufPlanEntry> plan_gguf(const Checkpoint& checkpoint, const GgufTypes& types) {
  std::vector<GgufPlanEntry> plan;
  for (const ManifestEntry& entry : manifest(checkpoint.spec())) {
    GgufPlanEntry planned;
    planned.canonical = entry.name;
    planned.part = entry.part;
    planned.from = checkpoint.tensor(entry.name).type;
    planned.to = target_of(entry, planned.from, types);
    place(entry, planned);
    check_entry(planned);
    plan.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace csm
