// The arguments of the kernels of matrix products.
#pragma once

namespace kasosei {

// op(A) [m, k], or the transpose of op(B), [n, k]: rows, and a number for each k in them.
struct ProductFactor {
  // float32, or bfloat16.
  const void* data;
  // Distances, in numbers, between neighbouring rows, between neighbours in a row, and between matrices of a batch.
  int64_t row, depth, step;
  int32_t is_bfloat16;
  // Whether the numbers of a row are neighbours, and the whole row can be read 16 bytes at a time.
  int32_t vectors;
};

// C = op(A) op(B), with what follows it. Blocks have parts of the sum over k, if there are several; C is then
// [batch, parts, m, n], and finish_product follows.
struct TiledProduct {
  ProductFactor a, b;
  int64_t m, n, k;
  int64_t parts, part_k;
  float* c;
  int64_t row, part, step;
  // [n], or null.
  const float* bias;
  // The derivative of GELU, [batch, m, n], or null: without GELU.
  float* derivative;
  // [batch, m, n], multiplied with the sum, or null.
  const float* factor;
  // [m, n], where C is also written as bfloat16 numbers, or null; n is then a multiple of 8.
  uint16_t* rounded;
  // C += …
  int32_t add;
  // Whether rows of C can be written 16 bytes at a time, and those of the derivative.
  int32_t vectors;
};

// C = Σ over parts, with what follows a product. C may be the only part.
struct FinishProduct {
  static constexpr const char* kernel = "finish_product";
  const float* x;
  int64_t parts;
  // Distances in x.
  int64_t x_row, x_part, x_step;
  int64_t batch, m, n;
  float* c;
  int64_t row, step;
  const float* bias;
  float* derivative;
  const float* factor;
  uint16_t* rounded;
  int32_t add;
  // Whether n and all distances are multiples of 4, and all pointers of 16 bytes.
  int32_t vectors;
};

// x [batch, rows, columns] as bfloat16 numbers, rounded to nearest, ties to even; rows of y are `y_row` long, a multiple
// of 8, and end with zeros.
struct RoundMatrix {
  static constexpr const char* kernel = "round_matrix";
  const float* x;
  int64_t batch, rows, columns;
  int64_t x_row, x_step;
  uint16_t* y;
  int64_t y_row;
  // Whether rows of x can be read 16 bytes at a time.
  int32_t vectors;
};

}  // namespace kasosei
