// Rows of a table by index, and gradients that are zero except in some rows.
#pragma once

#include "row-arguments.h"

#include "four.h"
#include "grid.cuh"

namespace kasosei {

inline int64_t row_at(const int32_t* at, int64_t row) { return at == nullptr ? row : at[row]; }

extern "C" __global__ void __launch_bounds__(256) copy_rows(const CopyRows a) {
  const int64_t stride = threads_of_grid();
  if (a.fours) {
    const int64_t width = a.width / 4;
    for (int64_t i = thread_of_grid(); i < a.size / 4; i += stride) {
      const int64_t row = quotient(i, width), column = i - row * width;
      store_four(a.to + 4 * (row_at(a.to_at, row) * width + column),
                 load_four(a.from + 4 * (row_at(a.from_at, row) * width + column)));
    }
    return;
  }
  for (int64_t i = thread_of_grid(); i < a.size; i += stride) {
    const int64_t row = quotient(i, a.width), column = i - row * a.width;
    a.to[row_at(a.to_at, row) * a.width + column] = a.from[row_at(a.from_at, row) * a.width + column];
  }
}

extern "C" __global__ void __launch_bounds__(128) sum_segments(const SumSegments a) {
  const int64_t at = quotient(blockIdx.x, a.blocks_across);
  const int64_t column = (blockIdx.x - at * a.blocks_across) * SumSegments::threads + threadIdx.x;
  if (column >= a.width) return;
  const Segment segment = a.segments[at];
  const int32_t* order = a.order + segment.first;
  float sum = 0;
#pragma unroll 8
  for (int i = 0; i < segment.count; i++) sum += a.x[order[i] * a.width + column];
  if (segment.slot >= 0) a.slots[segment.slot * a.width + column] = sum;
  else a.parts[segment.part * a.width + column] = sum;
}

extern "C" __global__ void __launch_bounds__(128) add_segments(const AddSegments a) {
  const int64_t at = quotient(blockIdx.x, a.blocks_across);
  const int64_t column = (blockIdx.x - at * a.blocks_across) * AddSegments::threads + threadIdx.x;
  if (column >= a.width) return;
  const Joint joint = a.joints[at];
  double sum = 0;
#pragma unroll 8
  for (int i = 0; i < joint.count; i++)
    sum += static_cast<double>(a.parts[(static_cast<int64_t>(joint.first) + i) * a.width + column]);
  a.slots[joint.slot * a.width + column] = static_cast<float>(sum);
}

}  // namespace kasosei
