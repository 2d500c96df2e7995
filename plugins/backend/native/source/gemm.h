// Matrix products C = A B, with A and B transposed or not, in float32 or from numbers rounded to bfloat16.
#pragma once

#include "panel.h"

namespace kasosei {

// Applied to each number of the product while it is still in the cache.
struct Epilogue {
  // [n], added to each row.
  const float* bias = nullptr;
  // [m, n], contiguous. If given, each number x is replaced by gelu(x), and the derivative is written here.
  float* gelu_derivative = nullptr;
  // [m, n], contiguous, multiplied with the product.
  const float* factor = nullptr;
};

struct Product {
  int64_t m, n, k;
  Matrix a, b;
  float* c;
  // Distance between the rows of C.
  int64_t stride;
  // Computes C += A B instead.
  bool add = false;
  Precision precision = Precision::float32;
  Epilogue epilogue = {};
};

// On all threads. Every number of C is summed by one thread, over k in ascending order, so the bits do not depend on
// the number of threads.
void multiply(const Product& product);

// On the calling thread only, for small matrices inside a loop that is already parallel.
void multiply_alone(const Product& product);

}  // namespace kasosei
