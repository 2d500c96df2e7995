// The arguments of elementwise kernels and of the transpose.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif
#include "mask.h"

namespace kasosei {

enum class Operation : int32_t { add, subtract, multiply };

struct CombineElements {
  static constexpr const char* kernel = "combine_elements";
  const float* a;
  const float* b;  // repeats after `width` numbers
  float* out;
  int64_t size, width;
  Operation operation;
  bool fours;  // all may be read in fours
};

struct FillElements {
  static constexpr const char* kernel = "fill_elements";
  float* out;
  int64_t size;
  float value;
  bool fours;
};

struct TanhElements {
  static constexpr const char* kernel = "tanh_elements";
  const float* x;
  float* y;
  int64_t size;
};

struct TanhGradient {
  static constexpr const char* kernel = "tanh_gradient";
  const float* dy;
  const float* y;
  float* dx;
  int64_t size;
};

struct DropElements {
  static constexpr const char* kernel = "drop_elements";
  const float* x;
  float* y;
  // Row n of x is row rows_at[n] of the mask's matrix; null if x is that matrix.
  const int32_t* rows_at;
  int64_t size, width;
  Mask mask;
  bool fours;
};

struct TransposeMatrix {
  static constexpr const char* kernel = "transpose_matrix";
  static constexpr int tile = 32, threads = 256;
  const float* x;
  float* y;
  int64_t rows, columns, tiles_across;
};

}  // namespace kasosei
