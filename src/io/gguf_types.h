// The numbers that GGUF files use for weight types, and the DType of each.
//
// Place in the flow: gguf.cpp reads them, gguf_writer.cpp writes them. Pure data.
#pragma once

#include <cstdint>

#include "io/tensor.h"

namespace csm {

inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr const char* kGgufAlignmentKey = "general.alignment";
inline constexpr size_t kGgufMaxDims = 4;

struct GgufTensorType {
  uint32_t number;
  DType type;
};
inline constexpr GgufTensorType kGgufTensorTypes[] = {
    {0, DType::kF32},    {1, DType::kF16},   {2, DType::kQ4_0},   {8, DType::kQ8_0},  {12, DType::kQ4_K},
    {13, DType::kQ5_K},  {14, DType::kQ6_K}, {20, DType::kIQ4_NL}, {24, DType::kI8},  {25, DType::kI16},
    {26, DType::kI32},   {27, DType::kI64},  {28, DType::kF64},   {30, DType::kBF16},
};

// Types that ggml has and DType lacks, for a message that names them.
struct GgufForeignType {
  uint32_t number;
  const char* name;
};
inline constexpr GgufForeignType kGgufForeignTypes[] = {
    {3, "Q4_1"},     {6, "Q5_0"},     {7, "Q5_1"},    {9, "Q8_1"},   {10, "Q2_K"},   {11, "Q3_K"},   {15, "Q8_K"},
    {16, "IQ2_XXS"}, {17, "IQ2_XS"},  {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"},  {23, "IQ4_XS"},
    {29, "IQ1_M"},   {34, "TQ1_0"},   {35, "TQ2_0"},  {39, "MXFP4"},
};

}  // namespace csm
