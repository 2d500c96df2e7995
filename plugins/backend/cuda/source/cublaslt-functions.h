// The part of cuBLASLt's interface that is used. Its declarations are those of NVIDIA's documentation; its numbers and
// structures are the same in all versions since 11.
#pragma once

#include <cstddef>
#include <cstdint>

#include "driver.h"

namespace kasosei::cublaslt {

using LibraryHandle = void*;
using Description = void*;
using Layout = void*;
using Preference = void*;

struct Algorithm {
  uint64_t data[8];
};
struct Choice {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};

enum DataType : int { float32_data = 0, bfloat16_data = 14 };
enum ComputeType : int { float32_sums = 68, float32_sums_of_tf32 = 77 };
enum DescriptionAttribute : int { transpose_a = 3, transpose_b = 4, epilogue_kind = 7, bias_pointer = 8 };
enum LayoutAttribute : int { batch_count = 5, batch_step = 6 };
// The alignments of B, C and D follow that of A.
enum PreferenceAttribute : int { most_workspace = 1, reduction_schemes = 3, alignment_a = 5 };
constexpr int32_t transposed = 1, no_epilogue = 1, bias_epilogue = 4;
constexpr int succeeded = 0, allocation_failed = 3, invalid_value = 7, arch_mismatch = 8, not_supported = 15;
// Sums over k that are divided: parts are added in a fixed order if they are kept in the workspace, as numbers of the
// computation or of the result; in place (1), the order is that in which the blocks end.
constexpr uint32_t schemes_of_fixed_order = 2 | 4;

#define KASOSEI_CUBLASLT(FUNCTION)                                                                                     \
  FUNCTION(cublasLtCreate, LibraryHandle* handle)                                                                     \
  FUNCTION(cublasLtDestroy, LibraryHandle handle)                                                                     \
  FUNCTION(cublasLtMatmulDescCreate, Description* description, ComputeType compute, DataType scale)                   \
  FUNCTION(cublasLtMatmulDescDestroy, Description description)                                                        \
  FUNCTION(cublasLtMatmulDescSetAttribute, Description description, DescriptionAttribute attribute, const void* value, \
           size_t bytes)                                                                                              \
  FUNCTION(cublasLtMatrixLayoutCreate, Layout* layout, DataType type, uint64_t rows, uint64_t columns, int64_t stride) \
  FUNCTION(cublasLtMatrixLayoutDestroy, Layout layout)                                                                \
  FUNCTION(cublasLtMatrixLayoutSetAttribute, Layout layout, LayoutAttribute attribute, const void* value, size_t bytes) \
  FUNCTION(cublasLtMatmulPreferenceCreate, Preference* preference)                                                    \
  FUNCTION(cublasLtMatmulPreferenceDestroy, Preference preference)                                                    \
  FUNCTION(cublasLtMatmulPreferenceSetAttribute, Preference preference, PreferenceAttribute attribute,                \
           const void* value, size_t bytes)                                                                           \
  FUNCTION(cublasLtMatmulAlgoGetHeuristic, LibraryHandle handle, Description description, Layout a, Layout b, Layout c, \
           Layout d, Preference preference, int wanted, Choice* choices, int* found)                                  \
  FUNCTION(cublasLtMatmul, LibraryHandle handle, Description description, const void* alpha, const void* a,           \
           Layout a_layout, const void* b, Layout b_layout, const void* beta, const void* c, Layout c_layout, void* d, \
           Layout d_layout, const Algorithm* algorithm, void* workspace, size_t bytes, Stream stream)

struct Functions {
#define KASOSEI_POINTER(name, ...) int (*name)(__VA_ARGS__);
  KASOSEI_CUBLASLT(KASOSEI_POINTER)
#undef KASOSEI_POINTER
  size_t (*cublasLtGetVersion)();
};

}  // namespace kasosei::cublaslt
