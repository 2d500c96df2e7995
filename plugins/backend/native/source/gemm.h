// Products of matrices: C = A B, with A and B transposed or not, in float32 or from numbers rounded to bfloat16.
#pragma once

#include "panel.h"

namespace native {

// What is done with each number of the product while it is still in the cache.
struct Epilogue {
  // [n]: added to each row.
  const float* bias = nullptr;
  // [m, n], contiguous: where given, each number x becomes gelu(x), and the derivative goes here.
  float* gelu_derivative = nullptr;
};

struct Product {
  int64_t m, n, k;
  Matrix a, b;
  float* c;
  // Between rows of C.
  int64_t stride;
  // C += A B instead.
  bool add = false;
  Precision precision = Precision::float32;
  Epilogue epilogue = {};
};

// On all threads. Every number of C is summed by one thread, over k from first to last, so the bits do not depend on
// how many threads there are.
void multiply(const Product& product);

// On the calling thread alone, for small matrices inside a loop that is parallel already.
void multiply_alone(const Product& product);

}  // namespace native
