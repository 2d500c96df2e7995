// Kernels that do what is undefined, each in its own way.
#include "instructions.cuh"

struct Rows {
  const float* x;
  float* y;
  int32_t size;
};

#define KERNEL(name) extern "C" __global__ void name(const Rows a)

KERNEL(barrier_in_branch) {
  if (threadIdx.x < 16) block_barrier();
}

KERNEL(barrier_of_each_branch) {
  if (threadIdx.x < 16) {
    block_barrier();
  } else {
    block_barrier();
  }
}

KERNEL(barrier_in_uneven_loop) {
  for (int i = threadIdx.x; i < a.size; i += blockDim.x) block_barrier();
  block_barrier();
}

KERNEL(shuffle_in_branch) {
  float x = 0;
  if (threadIdx.x < 16) x = shuffle_xor(x, 1);
  block_barrier();
  a.y[threadIdx.x] = x;
}

KERNEL(shuffle_of_each_branch) {
  float x = 0;
  if (threadIdx.x < 16) {
    x = shuffle_xor(x, 1);
  } else {
    x = shuffle_xor(x, 2);
  }
  a.y[threadIdx.x] = x;
}

KERNEL(shuffle_from_ended_lane) {
  if (threadIdx.x == 31) return;
  a.y[threadIdx.x] = shuffle(1.0f, 31);
}

KERNEL(product_without_a_lane) {
  if (threadIdx.x == 31) return;
  float c[4] = {};
  const uint32_t words[4] = {}, others[2] = {};
  mma_bf16(c, words, others);
  a.y[threadIdx.x] = c[0];
}

KERNEL(unaligned_load) {
  __shared__ alignas(16) float rows[256];
  uint32_t r[4];
  load_matrices(r, rows + threadIdx.x);
  a.y[threadIdx.x] = r[0];
}

struct alignas(16) Four {
  float x, y, z, w;
};

// Number a.size, and the next three.
KERNEL(read_four) {
  const Four four = *reinterpret_cast<const Four*>(a.x + a.size);
  a.y[0] = four.x + four.w;
}

KERNEL(copy_to_global) { copy_async_4(a.y, a.x, true); }

KERNEL(unaligned_copy) {
  __shared__ alignas(16) float row[4];
  copy_async_16(row, a.x + 1, true);
}

KERNEL(write_nowhere) {
  if (threadIdx.x == 5) *reinterpret_cast<float*>(uintptr_t(a.size)) = 1;
}

__device__ __noinline__ float descend(volatile float* x, int depth) {
  volatile float own[256];
  own[depth % 256] = x[0];
  return descend(own, depth + 1) + own[depth % 256];
}

KERNEL(descend_forever) { a.y[0] = descend(a.y, 0); }

// The rest writes one element of a.y, of static or of dynamic shared memory: the one after the last if a.size is its
// size.
KERNEL(write_global) { a.y[a.size] = 1; }

KERNEL(write_static) {
  __shared__ float row[21];
  row[a.size] = 1;
  a.y[0] = row[a.size / 2];
}

KERNEL(write_dynamic) {
  dynamic_shared<float>()[a.size] = 1;
  a.y[0] = dynamic_shared<float>()[a.size / 2];
}

// What was in memory before: of the block, and of a.x.
KERNEL(read_before_write) {
  __shared__ float row[32];
  a.y[threadIdx.x] = row[threadIdx.x];
  a.y[32 + threadIdx.x] = dynamic_shared<float>()[threadIdx.x];
  a.y[64 + threadIdx.x] = a.x[threadIdx.x];
  block_barrier();
  row[threadIdx.x] = dynamic_shared<float>()[threadIdx.x] = 1;
}
