// Sums over the threads of a block, and over the rows of a matrix: always in the same order.
#pragma once

#include "reduction-arguments.h"

#include "grid.cuh"
#include "vector.h"

namespace kasosei {

constexpr int warp_size = 32;

template <typename T>
inline T warp_sum(T value) {
#pragma unroll
  for (int mask = warp_size / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

inline float warp_maximum(float value) {
#pragma unroll
  for (int mask = warp_size / 2; mask > 0; mask /= 2) {
    const float other = shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over all threads of the block, which each of them gets. `parts` is shared memory with room for a number of
// each warp, which nothing else uses before the next barrier that all threads reach after this call.
template <typename T>
inline T block_sum(T value, T* parts) {
  value = warp_sum(value);
  if (blockDim.x == warp_size) return value;
  if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
  block_barrier();
  T total = parts[0];
  for (uint32_t warp = 1; warp < blockDim.x / warp_size; warp++) total += parts[warp];
  return total;
}

inline float block_maximum(float value, float* parts) {
  value = warp_maximum(value);
  if (blockDim.x == warp_size) return value;
  if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
  block_barrier();
  float largest = parts[0];
  for (uint32_t warp = 1; warp < blockDim.x / warp_size; warp++) largest = parts[warp] > largest ? parts[warp] : largest;
  return largest;
}

// A thread for each column of each group.
extern "C" __global__ void __launch_bounds__(128) sum_groups(const SumGroups a) {
  const int64_t group = quotient(blockIdx.x, a.blocks_across);
  const int64_t column = (blockIdx.x - group * a.blocks_across) * SumGroups::threads + threadIdx.x;
  if (column >= a.columns) return;
  const int64_t first = group * rows_in_a_group, left = a.rows - first;
  const int rows = left < rows_in_a_group ? static_cast<int>(left) : rows_in_a_group;
  const float* x = a.x + first * a.columns + column;
  const float* factor = a.factor == nullptr ? nullptr : a.factor + first * a.columns + column;
  float sum = 0, products = 0;
  int row = 0;
  // Several reads under way at a time; the order of the sum is that of the rows.
  constexpr int at_once = 8;
  for (; row + at_once <= rows; row += at_once) {
    float some[at_once], factors[at_once];
#pragma unroll
    for (int i = 0; i < at_once; i++) some[i] = x[(row + i) * a.columns];
    if (factor != nullptr) {
#pragma unroll
      for (int i = 0; i < at_once; i++) factors[i] = factor[(row + i) * a.columns];
#pragma unroll
      for (int i = 0; i < at_once; i++) products += some[i] * factors[i];
    }
#pragma unroll
    for (int i = 0; i < at_once; i++) sum += some[i];
  }
  for (; row < rows; row++) {
    const float value = x[row * a.columns];
    sum += value;
    if (factor != nullptr) products += value * factor[row * a.columns];
  }
  a.sums[group * a.columns + column] = sum;
  if (factor != nullptr) a.products[group * a.columns + column] = products;
}

// Row 0 of the grid adds the sums, and row 1 the products.
extern "C" __global__ void __launch_bounds__(128) add_groups(const AddGroups a) {
  const int64_t column = thread_of_grid();
  if (column >= a.columns) return;
  const float* from = blockIdx.y == 0 ? a.sums : a.products;
  double sum = 0;
#pragma unroll 8
  for (int64_t group = 0; group < a.groups; group++) sum += static_cast<double>(from[group * a.columns + column]);
  (blockIdx.y == 0 ? a.to : a.products_to)[column] = static_cast<float>(sum);
}

}  // namespace kasosei
