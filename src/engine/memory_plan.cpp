#include "engine/memory_plan.h"

#include <algorithm>

#include "base/fail.h"
#include "model/kv_cache.h"
#include "model/manifest.h"
#include "model/weight_types.h"

namespace csm {
namespace {

// Beside weights, keys and values: the program, graphs, the codec's streams, context audio on its way. Measured: 40 MB with the bundled
// model, 55 MB with the shapes of CSM-1B.
constexpr uint64_t kWorkBytes = 64'000'000;
constexpr int kQ8BlockElements = 32;

uint64_t matrix_bytes(const TensorInfo& tensor, const ManifestEntry& entry, WeightType part_type) {
  const DType type = dtype_of(matrix_type(entry, part_type)).value_or(tensor.type);
  const int64_t row = entry.shape.size() == 3 ? entry.shape[1] : entry.shape.back();
  const auto n_rows = static_cast<uint64_t>(tensor.n_elements() / row);
  // Rows that are not whole blocks stay 16 bits wide.
  if (is_quantised(type) && row % kQ8BlockElements != 0) return static_cast<uint64_t>(tensor.n_elements()) * 2;
  constexpr int64_t kSuperBlockElements = 256;
  const int64_t blocks = (row + kSuperBlockElements - 1) / kSuperBlockElements * kSuperBlockElements;
  return n_rows * bytes_of_row(type, is_quantised(type) ? blocks : row);
}

}  // namespace

uint64_t weight_bytes_in_memory(const Checkpoint& checkpoint, const BackendOptions& options) {
  uint64_t n_bytes = 0;
  for (const ManifestEntry& entry : manifest(checkpoint.spec())) {
    const TensorInfo& tensor = checkpoint.tensor(entry.name);
    if (entry.may_quantise) {
      n_bytes += matrix_bytes(tensor, entry, entry.part == ModelPart::kDepth ? options.depth_type : options.backbone_type);
    } else if (entry.use == TensorUse::kTable) {
      n_bytes += tensor.n_bytes();
    } else {
      n_bytes += static_cast<uint64_t>(tensor.n_elements()) * sizeof(float);
    }
  }
  return n_bytes;
}

MemoryPlan plan_memory(const ModelSpec& spec, uint64_t weight_bytes, uint64_t limit_bytes,
                       const std::vector<KvType>& kv_types) {
  MemoryPlan plan;
  plan.weight_bytes = weight_bytes;
  const uint64_t taken = weight_bytes + kWorkBytes;
  plan.kv_bytes = limit_bytes > taken ? limit_bytes - taken : 0;
  for (const KvType type : kv_types) {
    plan.kv_type = type;
    const uint64_t step_bytes = kv_sequence_bytes(spec.backbone, type, kKvStepPositions);
    const auto n = static_cast<int64_t>(std::min<uint64_t>(plan.kv_bytes / step_bytes, 1U << 20)) * kKvStepPositions;
    plan.max_positions = static_cast<int>(std::min<int64_t>(n, spec.max_positions));
    if (plan.max_positions == spec.max_positions) return plan;
  }
  if (plan.max_positions == 0) {
    const uint64_t least = taken + kv_sequence_bytes(spec.backbone, plan.kv_type, kKvStepPositions);
    fail(ErrorCode::kResourceLimit,
         "the memory limit is {:.1f} MB; this model needs at least {:.1f} MB ({:.1f} MB of weights, the rest for work and "
         "{} positions in {}); raise it, or quantise the weights",
         static_cast<double>(limit_bytes) / 1e6, static_cast<double>(least) / 1e6,
         static_cast<double>(weight_bytes) / 1e6, kKvStepPositions, to_string(plan.kv_type));
  }
  return plan;
}

std::vector<KvType> possible_kv_types(const ModelSpec& spec, const std::string& backend) {
  std::vector<KvType> types = {KvType::kF32, KvType::kF16};
  if (backend == "ggml" && spec.backbone.head_dim % kQ8BlockElements == 0) types.push_back(KvType::kQ8_0);
  return types;
}

}  // namespace csm
