// Gram matrices of per-sample gradients (the meaning: native/source/gram.cpp). Factors and their products are float32;
// sums over tokens, and over more than 2,048 terms, are float64, always in the same order.
#pragma once

#include "four.h"
#include "instructions.cuh"

#include "four.h"
#include "gram-arguments.h"

namespace kasosei {
namespace gramming {

KASOSEI_INLINE int rows_left(int64_t rows, int64_t first, int tile) {
  return static_cast<int>(rows - first < tile ? rows - first : tile);
}

// Begins to load terms from … from + 15 of `count` rows, as [tile, 16 + 4], filled up with zeros.
template <int tile>
KASOSEI_INLINE void load_terms(float* to, const float* rows, int count, int64_t stride, int64_t from, int64_t end,
                               bool vectors) {
  constexpr int threads = gram_threads(tile);
  if (vectors) {
#pragma unroll
    for (int i = 0; i < tile * gram_depth / 4 / threads; i++) {
      const int piece = threadIdx.x + i * threads, row = piece / (gram_depth / 4), term = piece % (gram_depth / 4) * 4;
      const bool inside = row < count && from + term < end;
      copy_async_16(to + row * gram_stride + term, inside ? rows + row * stride + from + term : rows, inside);
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < tile * gram_depth / threads; i++) {
      const int piece = threadIdx.x + i * threads, row = piece / gram_depth, term = piece % gram_depth;
      const bool inside = row < count && from + term < end;
      copy_async_4(to + row * gram_stride + term, inside ? rows + row * stride + from + term : rows, inside);
    }
  }
}

// Rows of `left` and `right`, `stride` apart: sums[i][j] += Σ over terms from … end − 1 of left row 8 · (thread / 16) + i
// times right row thread mod 16 + 16 · j. All threads of the block call it together.
template <int tile>
KASOSEI_INLINE void add_products(const float* left, int left_rows, const float* right, int right_rows, int64_t stride,
                                 int64_t from, int64_t end, bool vectors, float* shared,
                                 float (&sums)[gram_rows_of_a_thread][tile / gram_lanes]) {
  constexpr int R = gram_rows_of_a_thread, C = tile / gram_lanes, stage = 2 * tile * gram_stride;
  const int lane = threadIdx.x % gram_lanes, first_row = threadIdx.x / gram_lanes * R;
  // A warp without rows only loads.
  const bool working = static_cast<int>(threadIdx.x / 32) * 2 * R < left_rows;
  const auto load = [&](int64_t step) {
    float* const to = shared + step % gram_stages * stage;
    const int64_t first = from + step * gram_depth;
    if (first < end) {
      load_terms<tile>(to, left, left_rows, stride, first, end, vectors);
      load_terms<tile>(to + tile * gram_stride, right, right_rows, stride, first, end, vectors);
    }
    copies_commit();
  };
  block_barrier();  // nobody uses the shared memory any more
  for (int step = 0; step < gram_stages - 1; step++) load(step);
  for (int64_t step = 0; from + step * gram_depth < end; step++) {
    copies_wait<gram_stages - 2>();
    block_barrier();
    load(step + gram_stages - 1);
    if (!working) continue;
    const float* const rows = shared + step % gram_stages * stage + first_row * gram_stride;
    const float* const columns = shared + step % gram_stages * stage + (tile + lane) * gram_stride;
#pragma unroll
    for (int k = 0; k < gram_depth; k += 4) {
      Four column[C];
#pragma unroll
      for (int j = 0; j < C; j++)
        column[j] = load_four(columns + j * gram_lanes * gram_stride + k);
#pragma unroll
      for (int i = 0; i < R; i++) {
        const Four row = load_four(rows + i * gram_stride + k);
#pragma unroll
        for (int j = 0; j < C; j++) {
          sums[i][j] = fused(row.x, column[j].x, sums[i][j]);
          sums[i][j] = fused(row.y, column[j].y, sums[i][j]);
          sums[i][j] = fused(row.z, column[j].z, sums[i][j]);
          sums[i][j] = fused(row.w, column[j].w, sums[i][j]);
        }
      }
    }
  }
}

template <int R, int C>
KASOSEI_INLINE void clear(float (&sums)[R][C]) {
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++) sums[i][j] = 0;
}

template <int tile>
KASOSEI_INLINE void by_tokens(const GramByTokens& a) {
  constexpr int R = gram_rows_of_a_thread, C = tile / gram_lanes, stride = tile + 1;
  const int one = blockIdx.x, other = blockIdx.y;
  if (other < one) return;
  const int64_t from = static_cast<int64_t>(one) * tile, to = static_cast<int64_t>(other) * tile;
  const int rows = rows_left(a.tokens, from, tile), columns = rows_left(a.tokens, to, tile);
  float* const shared = dynamic_shared<float>();
  float inputs[R][C], gradients[R][C];
  clear(inputs);
  clear(gradients);
  add_products<tile>(a.input_TI + from * a.inputs, rows, a.input_TI + to * a.inputs, columns, a.inputs, 0, a.inputs,
                     a.vectors_of_inputs, shared, inputs);
  add_products<tile>(a.output_gradient_TO + from * a.outputs, rows, a.output_gradient_TO + to * a.outputs, columns,
                     a.outputs, 0, a.outputs, a.vectors_of_outputs, shared, gradients);
  block_barrier();
  // The products of a row's tokens with each part of the other tile, then those of each part of this one.
  double* const sums_of_rows = dynamic_shared<double>();
  float* const products = reinterpret_cast<float*>(sums_of_rows + 2 * tile);
  const int lane = threadIdx.x % gram_lanes, first_row = threadIdx.x / gram_lanes * R;
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++)
      products[(first_row + i) * stride + lane + gram_lanes * j] = inputs[i][j] * gradients[i][j];
  block_barrier();
  const int32_t first_part = a.parts_of_tiles[one], parts = a.parts_of_tiles[one + 1] - first_part;
  const int32_t other_part = a.parts_of_tiles[other], other_parts = a.parts_of_tiles[other + 1] - other_part;
  // Two parts of the other tile at a time, each by one half of the threads.
  const int own = threadIdx.x % tile, half = threadIdx.x / tile;
  for (int next = 0; next < other_parts; next += 2) {
    const int part = next + half;
    if (part < other_parts) {
      const int end = a.starts[other_part + part + 1] - to;
      double sum = 0;
      for (int column = a.starts[other_part + part] - to; column < end; column++)
        sum += products[own * stride + column];
      sums_of_rows[half * tile + own] = sum;
    }
    block_barrier();
    if (part < other_parts && own < parts) {
      const int end = a.starts[first_part + own + 1] - from;
      double sum = 0;
      for (int row = a.starts[first_part + own] - from; row < end; row++) sum += sums_of_rows[half * tile + row];
      a.sums[(first_part + own) * a.parts + other_part + part] = sum;
    }
    block_barrier();
  }
}

}  // namespace gramming

extern "C" __global__ void __launch_bounds__(256) gram_by_tokens_128(const GramByTokens a) { gramming::by_tokens<128>(a); }
extern "C" __global__ void __launch_bounds__(128) gram_by_tokens_64(const GramByTokens a) { gramming::by_tokens<64>(a); }

extern "C" __global__ void __launch_bounds__(128) gram_of_parts(const GramOfParts a) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pair >= a.samples * a.samples) return;
  const int64_t i = pair / a.samples, j = pair % a.samples;
  if (j < i) return;
  double sum = 0;
  for (int p = a.parts_of_samples[i]; p < a.parts_of_samples[i + 1]; p++)
    for (int q = i == j ? p : a.parts_of_samples[j]; q < a.parts_of_samples[j + 1]; q++)
      sum += (i == j && q > p ? 2 : 1) * a.sums[p * a.parts + q];
  a.gram[i * a.samples + j] = sum;
  a.gram[j * a.samples + i] = sum;
}

extern "C" __global__ void __launch_bounds__(256) gradients_of_samples(const GradientsOfSamples a) {
  using namespace gramming;
  constexpr int tile = gram_large_tile, R = gram_rows_of_a_thread, C = tile / gram_lanes, threads = gram_threads(tile);
  constexpr int stage = 2 * gram_depth * tile;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * tile, first_column = static_cast<int64_t>(blockIdx.x) * tile;
  const int rows = rows_left(a.rows, first_row, tile), columns = rows_left(a.inputs, first_column, tile);
  const int64_t start = a.offsets[blockIdx.z], end = a.offsets[blockIdx.z + 1];
  const float* const left = a.output_gradient_TO + a.first + first_row;
  const float* const right = a.input_TI + first_column;
  float* const shared = dynamic_shared<float>();
  // Begins to load 16 tokens, as [16, tile], filled up with zeros.
  const auto load_tokens = [&](float* to, const float* from, int64_t stride, int64_t token, int width, bool vectors) {
    if (vectors) {
#pragma unroll
      for (int i = 0; i < gram_depth * tile / 4 / threads; i++) {
        const int piece = threadIdx.x + i * threads, row = piece / (tile / 4), column = piece % (tile / 4) * 4;
        const bool inside = token + row < end && column < width;
        copy_async_16(to + row * tile + column, inside ? from + (token + row) * stride + column : from, inside);
      }
    } else {
#pragma unroll 1
      for (int i = 0; i < gram_depth * tile / threads; i++) {
        const int piece = threadIdx.x + i * threads, row = piece / tile, column = piece % tile;
        const bool inside = token + row < end && column < width;
        copy_async_4(to + row * tile + column, inside ? from + (token + row) * stride + column : from, inside);
      }
    }
  };
  const auto load = [&](int64_t step) {
    float* const to = shared + step % gram_stages * stage;
    const int64_t token = start + step * gram_depth;
    if (token < end) {
      load_tokens(to, left, a.outputs, token, rows, a.vectors_of_outputs);
      load_tokens(to + gram_depth * tile, right, a.inputs, token, columns, a.vectors_of_inputs);
    }
    copies_commit();
  };
  const int lane = threadIdx.x % gram_lanes, own_row = threadIdx.x / gram_lanes * R;
  float sums[R][C];
  clear(sums);
  for (int step = 0; step < gram_stages - 1; step++) load(step);
  for (int64_t step = 0; start + step * gram_depth < end; step++) {
    copies_wait<gram_stages - 2>();
    block_barrier();
    load(step + gram_stages - 1);
    const float* const row = shared + step % gram_stages * stage + own_row;
    const float* const column = shared + step % gram_stages * stage + gram_depth * tile + 4 * lane;
#pragma unroll
    for (int k = 0; k < gram_depth; k++) {
      const Four rows0 = load_four(row + k * tile);
      const Four rows1 = load_four(row + k * tile + 4);
      const Four columns0 = load_four(column + k * tile);
      const Four columns1 = load_four(column + k * tile + 64);
      const float of_rows[R] = {rows0.x, rows0.y, rows0.z, rows0.w, rows1.x, rows1.y, rows1.z, rows1.w};
      const float of_columns[C] = {columns0.x, columns0.y, columns0.z, columns0.w,
                                   columns1.x, columns1.y, columns1.z, columns1.w};
#pragma unroll
      for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < C; j++) sums[i][j] = fused(of_rows[i], of_columns[j], sums[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < R; i++) {
    if (own_row + i >= rows) continue;
    float* const to = a.gradients + (blockIdx.z * a.rows + first_row + own_row + i) * a.inputs + first_column;
#pragma unroll
    for (int j = 0; j < C; j++) {
      const int column = 4 * lane + j % 4 + j / 4 * 64;
      if (column < columns) to[column] = sums[i][j];
    }
  }
}

extern "C" __global__ void __launch_bounds__(256) sums_of_samples(const SumsOfSamples a) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= a.width) return;
  float sum = 0;
  for (int64_t token = a.offsets[blockIdx.y]; token < a.offsets[blockIdx.y + 1]; token++) {
    const float x = a.x_TD[token * a.width + column];
    sum += a.factor_TD == nullptr ? x : x * a.factor_TD[token * a.width + column];
  }
  a.sums[blockIdx.y * a.width + column] = sum;
}

// A block multiplies a slice (x) of a pair of tiles of vectors (y, z).
extern "C" __global__ void __launch_bounds__(128) gram_of_vectors(const GramOfVectors a) {
  using namespace gramming;
  constexpr int tile = gram_small_tile, R = gram_rows_of_a_thread, C = tile / gram_lanes;
  if (blockIdx.z < blockIdx.y) return;
  const int64_t from = static_cast<int64_t>(blockIdx.y) * tile, to = static_cast<int64_t>(blockIdx.z) * tile;
  const int rows = rows_left(a.count, from, tile), columns = rows_left(a.count, to, tile);
  double totals[R][C];
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++) totals[i][j] = 0;
  const int64_t first = blockIdx.x * a.slice, end = first + a.slice < a.size ? first + a.slice : a.size;
#pragma unroll 1
  for (int64_t term = first; term < end; term += gram_terms) {
    float sums[R][C];
    clear(sums);
    add_products<tile>(a.vectors_ND + from * a.size, rows, a.vectors_ND + to * a.size, columns, a.size, term,
                       term + gram_terms < end ? term + gram_terms : end, a.vectors, dynamic_shared<float>(), sums);
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
      for (int j = 0; j < C; j++) totals[i][j] += sums[i][j];
  }
  const int lane = threadIdx.x % gram_lanes, first_row = threadIdx.x / gram_lanes * R;
#pragma unroll
  for (int i = 0; i < R; i++)
#pragma unroll
    for (int j = 0; j < C; j++)
      if (first_row + i < rows && lane + gram_lanes * j < columns)
        a.sums[(blockIdx.x * a.count + from + first_row + i) * a.count + to + lane + gram_lanes * j] = totals[i][j];
}

extern "C" __global__ void __launch_bounds__(128) gram_of_slices(const GramOfSlices a) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pair >= a.count * a.count) return;
  const int64_t i = pair / a.count, j = pair % a.count;
  if (j < i) return;
  double sum = a.add ? a.gram[pair] : 0;
  for (int64_t slice = 0; slice < a.slices; slice++) sum += a.sums[(slice * a.count + i) * a.count + j];
  a.gram[pair] = sum;
  a.gram[j * a.count + i] = sum;
}

}  // namespace kasosei
