// A checkpoint -> the tensors of one GGUF file that is loaded by mapping: canonical names, matrices in the types asked
// for, audio heads as padded rows.
//
// Place in the flow: loader -> checkpoint -> (here) -> GgufWriter. Some rows at a time are read, converted on all
// threads, written and let go of, so that memory is bounded whatever the model's size. Stateless; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "model/checkpoint.h"
#include "model/weight_types.h"

namespace csm {

// What each part of a model shall be stored as. kAsStored keeps what the source has.
struct GgufTypes {
  WeightType backbone = WeightType::kAsStored;
  WeightType depth = WeightType::kAsStored;
  WeightType tables = WeightType::kAsStored;  // never quantised
  WeightType codec = WeightType::kAsStored;   // kF32 or kF16
};

// "stored", one type for all ("q8_0": matrices of both parts; tables and codec stay as stored), or a list of parts,
// where a type without a part comes first: "q4_K,depth=q6_K,tables=f16,codec=f16". Letter case is ignored. Errors:
// kInvalidArgument.
GgufTypes parse_gguf_types(const std::string& text);

struct GgufPlanEntry {
  std::string canonical;
  std::string name;  // in the file
  ModelPart part = ModelPart::kText;
  DType from = DType::kF32;
  DType to = DType::kF32;
  std::vector<int64_t> shape;
};

// In the order of the file. Errors: kUnsupported when blocks do not divide rows; kInvalidArgument when quantised
// weights shall become another type.
std::vector<GgufPlanEntry> plan_gguf(const Checkpoint& checkpoint, const GgufTypes& types);

// Converts n_rows rows of n float32 elements to the type.
using RowConverter = std::function<void(DType type, const float* rows, std::byte* out, int64_t n_rows, int64_t n)>;
// Called as data is written. False stops the conversion with kCancelled.
using GgufProgress = std::function<bool(const std::string& tensor, uint64_t n_bytes_done)>;

// Writes the data of all tensors to a writer that was begun with the same plan. Errors: kInvalidData for weights that
// are not finite, or not finite any more in f16; kCancelled; those of the writer's sink.
void write_gguf_tensors(const Checkpoint& checkpoint, const std::vector<GgufPlanEntry>& plan, GgufWriter& writer,
                        const RowConverter& convert, int n_threads, const GgufProgress& progress);

}  // namespace csm
