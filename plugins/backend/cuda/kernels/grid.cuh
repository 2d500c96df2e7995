// Where a thread is among those of a whole grid of one dimension, and of a block.
#pragma once

#include "vector.h"

namespace kasosei {

inline int64_t thread_of_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
inline int64_t threads_of_grid() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// ⌊a / b⌋ and a mod b of numbers from 0; two numbers below 2³² are divided much faster.
inline int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}
inline int64_t remainder(int64_t a, int64_t b) { return a - quotient(a, b) * b; }

}  // namespace kasosei
