// The arguments of layer normalisations.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif
#include "mask.h"

namespace kasosei {

// A row is a block's. Rows of at most this many numbers that may be read in fours stay in registers.
constexpr int64_t largest_kept_row = 4096;
constexpr int threads_of_a_row = 256;

struct LayerNorm {
  static constexpr const char* kernel = "layer_norm";
  const float* x;
  const float* residual;   // null: x alone is normalised
  const int32_t* rows_at;  // as in DropElements
  const float* gamma;
  const float* beta;
  float* y;
  // Where y is also written as bfloat16 numbers, or null.
  uint16_t* rounded;
  float* normalised;
  float* rstd;
  int64_t hidden;
  float epsilon;
  Mask mask;
  bool kept;
};

struct LayerNormInputGradient {
  static constexpr const char* kernel = "layer_norm_input_gradient";
  const float* dy;
  const float* normalised;
  const float* rstd;
  const float* gamma;
  float* dx;
  // Where what is dropped, or else dx, is also written as bfloat16 numbers, or null.
  uint16_t* rounded;
  int64_t hidden;
  bool kept;
  // Null, or where dx is written once more, dropped by a mask.
  float* dropped;
  const int32_t* rows_at;  // as in DropElements
  Mask mask;
};

}  // namespace kasosei
