// Elementwise kernels, and the transpose.
#pragma once

#include "element-arguments.h"

#include "dropout.cuh"
#include "elementary.h"
#include "four.h"
#include "grid.cuh"

namespace kasosei {

// tanh(x) to about one unit in the last place (coefficients of Cephes' tanhf, Moshier 1992).
inline float hyperbolic_tangent(float x) {
  const float size = magnitude(x), square = size * size;
  float p = -5.70498872745e-3f;
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  // The second is NaN's too.
  const float value = size < 0.625f ? p * square * size + size
                                    : 1.0f - divide_rn(2.0f, exponential(2.0f * size) + 1.0f);
  return float_of(bits_of(value) | (bits_of(x) & 0x80000000u));
}

template <typename T>
inline T combined(Operation operation, const T& a, const T& b) {
  return operation == Operation::add ? a + b : operation == Operation::subtract ? a - b : a * b;
}

// In fours if possible, and then the rest one by one, as in all kernels here. `out` may be `a`.
extern "C" __global__ void __launch_bounds__(256) combine_elements(const CombineElements a) {
  const int64_t stride = threads_of_grid(), fours = a.fours ? a.size / 4 : 0;
  const bool one = a.width == 1, whole = a.width == a.size;
  for (int64_t i = thread_of_grid(); i < fours; i += stride) {
    Four right;
    if (one) right = {a.b[0], a.b[0], a.b[0], a.b[0]};
    else right = load_four(a.b + 4 * (whole ? i : remainder(i, a.width / 4)));
    store_four(a.out + 4 * i, combined(a.operation, load_four(a.a + 4 * i), right));
  }
  for (int64_t i = 4 * fours + thread_of_grid(); i < a.size; i += stride)
    a.out[i] = combined(a.operation, a.a[i], a.b[one ? 0 : whole ? i : remainder(i, a.width)]);
}

extern "C" __global__ void __launch_bounds__(256) fill_elements(const FillElements a) {
  const int64_t stride = threads_of_grid(), fours = a.fours ? a.size / 4 : 0;
  for (int64_t i = thread_of_grid(); i < fours; i += stride)
    store_four(a.out + 4 * i, {a.value, a.value, a.value, a.value});
  for (int64_t i = 4 * fours + thread_of_grid(); i < a.size; i += stride) a.out[i] = a.value;
}

extern "C" __global__ void __launch_bounds__(256) tanh_elements(const TanhElements a) {
  for (int64_t i = thread_of_grid(); i < a.size; i += threads_of_grid()) a.y[i] = hyperbolic_tangent(a.x[i]);
}

extern "C" __global__ void __launch_bounds__(256) tanh_gradient(const TanhGradient a) {
  for (int64_t i = thread_of_grid(); i < a.size; i += threads_of_grid()) a.dx[i] = (1.0f - a.y[i] * a.y[i]) * a.dy[i];
}

extern "C" __global__ void __launch_bounds__(256) drop_elements(const DropElements a) {
  const int64_t stride = threads_of_grid(), fours = a.fours ? a.size / 4 : 0;
  for (int64_t i = thread_of_grid(); i < fours; i += stride) {
    int64_t block = i;
    if (a.rows_at != nullptr) {
      const int64_t width = a.width / 4, row = quotient(i, width);
      block = a.rows_at[row] * width + (i - row * width);
    }
    store_four(a.y + 4 * i, load_four(a.x + 4 * i) * kept_four(a.mask, block));
  }
  for (int64_t i = 4 * fours + thread_of_grid(); i < a.size; i += stride) {
    int64_t element = i;
    if (a.rows_at != nullptr) {
      const int64_t row = quotient(i, a.width);
      element = a.rows_at[row] * a.width + (i - row * a.width);
    }
    a.y[i] = a.x[i] * kept_one(a.mask, element);
  }
}

extern "C" __global__ void __launch_bounds__(256) transpose_matrix(const TransposeMatrix a) {
  constexpr int tile = TransposeMatrix::tile, step = TransposeMatrix::threads / tile;
  // One column more, so that the threads of a warp find the numbers of a column in different banks.
  __shared__ float square[tile][tile + 1];
  const int64_t down = quotient(blockIdx.x, a.tiles_across);
  const int64_t first_row = down * tile, first_column = (blockIdx.x - down * a.tiles_across) * tile;
  const int lane = threadIdx.x % tile, line = threadIdx.x / tile;
  for (int i = line; i < tile; i += step)
    if (first_row + i < a.rows && first_column + lane < a.columns)
      square[i][lane] = a.x[(first_row + i) * a.columns + first_column + lane];
  block_barrier();
  for (int i = line; i < tile; i += step)
    if (first_column + i < a.columns && first_row + lane < a.rows)
      a.y[(first_column + i) * a.rows + first_row + lane] = square[lane][i];
}

}  // namespace kasosei
