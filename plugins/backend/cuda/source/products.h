// Matrix products C = op(A) op(B) on the GPU, in float32, tf32 or from numbers rounded to bfloat16; sums are float32.
// By cuBLASLt if it is there, otherwise by kernels of our own.
#pragma once

#include <cstdint>

#include "precision.h"

namespace kasosei {

// A matrix [m, k] or [k, n], or its transpose, row after row; or one for each product of a batch.
struct Factor {
  // float32.
  const float* data;
  // Distance between the rows that are in memory, in numbers.
  int64_t stride;
  bool transposed = false;
  // Distance between the matrices of a batch; 0 if they share one.
  int64_t step = 0;
  // The same numbers as bfloat16, at the same distances; or null: then a bfloat16 product rounds them itself.
  const uint16_t* rounded = nullptr;
};

struct Product {
  int64_t m, n, k;
  Factor a, b;
  // Row after row, `stride` apart.
  float* c;
  int64_t stride;
  int64_t batch = 1;
  // Distance between the C of a batch.
  int64_t step = 0;
  Precision precision = Precision::float32;
  // Computes C += op(A) op(B) instead.
  bool add = false;
  // [n], added to each row, or null.
  const float* bias = nullptr;
  // [batch, m, n], or null. If given, each number x becomes gelu(x), and the derivative is written here.
  float* gelu_derivative = nullptr;
  // [batch, m, n], multiplied with the product, or null.
  const float* factor = nullptr;
  // [m, n], where C is also written as bfloat16 numbers, or null; for a single product whose rows of C are neighbours.
  uint16_t* rounded = nullptr;
};

// How factors are rounded: by attention's products too, and in the products that follow a normalisation.
Precision precision_of_factors();

// The same bits each time, on the same device and with the same libraries.
void multiply(const Product& product);

}  // namespace kasosei
