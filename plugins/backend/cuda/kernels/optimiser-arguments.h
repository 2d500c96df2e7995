// The arguments of the global norm and of AdamW, which go over a list of tensors in one launch.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// The tensors of a list are in the order of their blocks: those of one begin with `first_block`, and end with the next
// one's.

// A tensor of rows of `width` numbers.
struct SquaredTensor {
  // Longer rows are taken in pieces, by a warp each; rows of at most `narrow` numbers are a thread's.
  static constexpr int64_t piece = 4096, narrow = 32, numbers_in_a_block = 65536;
  const float* x;
  int64_t rows, width;
  // Rows or pieces, in all and of a block.
  int64_t units, units_in_a_block;
  int64_t first_block;
  bool fours;  // a row can be read in fours
};

// A sum of squares is a float64 number and what was rounded off it: far more precise than its root is in float32. So it
// does not depend on where rows of zeros are among the others.
struct PreciseSum {
  double sum, rest;
};

struct SumSquares {
  static constexpr const char* kernel = "sum_squares";
  static constexpr int threads = 256;
  const SquaredTensor* tensors;
  int32_t count;
  PreciseSum* sums;  // one of each block
};

struct FinishNorm {
  static constexpr const char* kernel = "finish_norm";
  static constexpr int threads = 1024;
  const PreciseSum* sums;
  int64_t count;
  // Tensors of one number each: the norm is NaN unless all are finite.
  const float* const* watched;
  int64_t watched_count;
  float* norm;
};

struct UpdatedTensor {
  static constexpr int64_t numbers_in_a_block = 16384, rows_in_a_block = 64;
  float* theta;
  const float* gradient;
  float* m;
  float* v;
  // θ as bfloat16 numbers, which are kept up to date; or null.
  uint16_t* rounded;
  // If the gradient is zero except in some rows: marks of rows that ever had one, and the rows that have one now,
  // ascending; null otherwise.
  uint8_t* active;
  const int32_t* ids;
  int64_t id_count;
  int64_t rows, width;  // a dense one is one row
  int64_t first_block;
  float step, kept;
  bool fours;
};

// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← (θ − step · m / (√v + ε)) · kept, with g = gradient ·
// min(1, largest / (norm + 10⁻⁶)); nothing if the norm is not finite.
struct UpdateTensors {
  static constexpr const char* kernel = "update_tensors";
  static constexpr int threads = 256;
  const UpdatedTensor* tensors;
  int32_t count;
  const float* norm;
  double largest;
  float beta1, rest1, beta2, rest2, epsilon;
};

// active[row]: whether a moment of the row is not zero.
struct MarkActiveRows {
  static constexpr const char* kernel = "mark_active_rows";
  static constexpr int threads = 256;
  const float* m;
  const float* v;
  uint8_t* active;
  int64_t rows, width;
};

}  // namespace kasosei
