// The arguments of losses.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// Of each row of logits · factor: −log softmax[label], and the gradient factor · scale · (softmax − one-hot).
struct CrossEntropy {
  static constexpr const char* kernel = "cross_entropy";
  static constexpr int threads = 256;
  const float* logits;
  const int32_t* labels;  // null: row n has label n
  float* gradient;        // may be `logits`
  double* losses;         // [rows]
  int64_t classes;
  float factor, scale;
};

struct MeanLoss {
  static constexpr const char* kernel = "mean_loss";
  static constexpr int threads = 256;
  const double* losses;
  float* loss;
  int64_t rows;
};

// Rows divided by their lengths, and those lengths.
struct NormaliseRows {
  static constexpr const char* kernel = "normalise_rows";
  static constexpr int threads = 128;
  const float* first;  // [rows, width], as all
  const float* second;
  float* units;     // of the first, then of the second
  double* lengths;  // [2, rows]
  int64_t rows, width;
};

// The gradients with respect to x from those with respect to x / |x|, in place.
struct ThroughNormalisation {
  static constexpr const char* kernel = "through_normalisation";
  static constexpr int threads = 128;
  float* first;
  float* second;
  const float* units;
  const double* lengths;
  int64_t rows, width;
};

}  // namespace kasosei
