#include "backends/ggml/rows.h"

#include <cstring>

namespace csm::ggml {

ggml_type stored_type(DType type) {
  switch (type) {
    case DType::kF16: return GGML_TYPE_F16;
    case DType::kBF16: return GGML_TYPE_BF16;
    case DType::kQ8_0: return GGML_TYPE_Q8_0;
    case DType::kQ6_K: return GGML_TYPE_Q6_K;
    case DType::kQ5_K: return GGML_TYPE_Q5_K;
    case DType::kQ4_K: return GGML_TYPE_Q4_K;
    case DType::kQ4_0: return GGML_TYPE_Q4_0;
    case DType::kIQ4_NL: return GGML_TYPE_IQ4_NL;
    default: return GGML_TYPE_F32;
  }
}

void convert_rows(ggml_type type, const float* in, char* out, int64_t n_rows, int64_t n) {
  switch (type) {
    case GGML_TYPE_F32: std::memcpy(out, in, static_cast<size_t>(n_rows * n) * sizeof(float)); return;
    case GGML_TYPE_F16: ggml_fp32_to_fp16_row(in, reinterpret_cast<ggml_fp16_t*>(out), n_rows * n); return;
    case GGML_TYPE_BF16: ggml_fp32_to_bf16_row(in, reinterpret_cast<ggml_bf16_t*>(out), n_rows * n); return;
    default: ggml_quantize_chunk(type, in, out, 0, n_rows, n, nullptr);
  }
}

void write_rows(DType type, const float* in, std::byte* out, int64_t n_rows, int64_t n) {
  if (is_quantised(type)) ggml_quantize_init(stored_type(type));
  convert_rows(stored_type(type), in, reinterpret_cast<char*>(out), n_rows, n);
}

void read_f32(DType type, const std::byte* source, size_t n, float* out) {
  if (!is_quantised(type)) return widen_to_f32(type, source, n, out);
  ggml_get_type_traits(stored_type(type))->to_float(source, out, static_cast<int64_t>(n));
}

}  // namespace csm::ggml
