// Kernels for the tests of the emulator. PLANTED is the number of the mistake to make; 0 makes none.
#include "instructions.cuh"

struct LayerNorm {
  const float* x;
  float* y;
  int32_t width;
  float epsilon;
};

__device__ inline float sum_block(float s) {
  __shared__ float part[32];
  for (int d = 16; d; d >>= 1) s += shuffle_xor(s, d);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
#if PLANTED != 1
  block_barrier();
#endif
  s = threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : 0.0f;
  for (int d = 16; d; d >>= 1) s += shuffle_xor(s, d);
#if PLANTED != 2
  block_barrier();
#endif
  return s;
}

// A row a block.
extern "C" __global__ void __launch_bounds__(128) layer_norm(const LayerNorm a) {
  float* row = dynamic_shared<float>();
  const int64_t at = int64_t(blockIdx.x) * a.width;
  float s = 0;
  for (int i = threadIdx.x; i < a.width; i += blockDim.x) s += row[i] = a.x[at + i];
  const float mean = sum_block(s) / a.width;
  s = 0;
  for (int i = threadIdx.x; i < a.width; i += blockDim.x) s = fused(row[i] - mean, row[i] - mean, s);
  const float inverse = divide_rn(1.0f, sqrt_rn(sum_block(s) / a.width + a.epsilon));
  for (int i = threadIdx.x; i < a.width; i += blockDim.x) a.y[at + i] = (row[i] - mean) * inverse;
}

struct Product {
  const uint16_t* a;  // [m, k], bfloat16
  const uint16_t* b;  // [k, n], bfloat16
  float* c;           // [m, n]
  int32_t m, n, k;    // n and k are multiples of 8
};

constexpr int padded = 24;  // elements of a row in shared memory

struct alignas(16) Stage {
  uint16_t a[64][padded], b[16][padded];
};

// 64×16 of c a block, 16×16 a warp; the next 16 of k are copied while those before are multiplied.
extern "C" __global__ void __launch_bounds__(128) product_bf16(const Product p) {
  __shared__ Stage stages[2];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, m0 = blockIdx.y * 64, n0 = blockIdx.x * 16;
  const auto begin = [&](int k0) {
    Stage& stage = stages[k0 / 16 % 2];
    const int row = t / 2, chunk = t % 2 * 8;
    copy_async_16(&stage.a[row][chunk], p.a + int64_t(m0 + row) * p.k + k0 + chunk, m0 + row < p.m && k0 + chunk < p.k);
    if (t < 32) {
      copy_async_16(&stage.b[row][chunk], p.b + int64_t(k0 + row) * p.n + n0 + chunk,
                    k0 + row < p.k && n0 + chunk < p.n);
    }
#if PLANTED != 5
    copies_commit();
#endif
  };
  float c[2][4] = {};
  begin(0);
  for (int k0 = 0; k0 < p.k; k0 += 16) {
    begin(k0 + 16);
#if PLANTED != 3
    copies_wait<1>();
#endif
#if PLANTED != 4
    block_barrier();
#endif
    const Stage& stage = stages[k0 / 16 % 2];
    uint32_t a[4], b[4];
    load_matrices(a, &stage.a[warp * 16 + lane % 8 + lane / 8 % 2 * 8][lane / 16 * 8]);
    load_matrices_transposed(b, &stage.b[lane % 8 + lane / 8 % 2 * 8][lane / 16 * 8]);
    for (int tile = 0; tile < 2; tile++) {
      const uint32_t part[2] = {b[tile * 2], b[tile * 2 + 1]};
      mma_bf16(c[tile], a, part);
    }
#if PLANTED != 6
    block_barrier();
#endif
  }
  for (int tile = 0; tile < 2; tile++) {
    for (int i = 0; i < 4; i++) {
      const int row = m0 + warp * 16 + lane / 4 + i / 2 * 8, column = n0 + tile * 8 + lane % 4 * 2 + i % 2;
      if (row < p.m && column < p.n) p.c[int64_t(row) * p.n + column] = c[tile][i];
    }
  }
}

struct FloatProduct {
  const float* a;   // [m, k]
  const float* b;   // [n, k]
  float* c;         // [m, n]
  int32_t m, n, k;  // k is a multiple of 8
};

// 16×8 of c a warp, a block.
extern "C" __global__ void product_tf32(const FloatProduct p) {
  const int group = threadIdx.x / 4, column = threadIdx.x % 4, m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  float c[4] = {};
  for (int k0 = 0; k0 < p.k; k0 += 8) {
    uint32_t a[4], b[2];
    for (int i = 0; i < 4; i++) {
      const int row = m0 + group + i % 2 * 8;
      a[i] = row < p.m ? to_tf32(p.a[int64_t(row) * p.k + k0 + column + i / 2 * 4]) : 0;
    }
    for (int i = 0; i < 2; i++) {
      b[i] = n0 + group < p.n ? to_tf32(p.b[int64_t(n0 + group) * p.k + k0 + column + i * 4]) : 0;
    }
    mma_tf32(c, a, b);
  }
  for (int i = 0; i < 4; i++) {
    const int row = m0 + group + i / 2 * 8, at = n0 + column * 2 + i % 2;
    if (row < p.m && at < p.n) p.c[int64_t(row) * p.n + at] = c[i];
  }
}

struct Rows {
  const float* x;
  float* y;
  int32_t rows;  // of 32
};

// Turns the 32 numbers of a row around by way of shared memory, then adds the row's first one, and 100 if any of the
// row is negative. A row a warp.
extern "C" __global__ void turn_rows(const Rows a) {
  __shared__ float staged[32][33];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = blockIdx.x * (blockDim.x / 32) + warp;
  const float x = row < a.rows ? a.x[row * 32 + lane] : 0.0f;
  staged[warp][31 - lane] = x;
#if PLANTED != 7
  warp_barrier();
#endif
  const float turned = staged[warp][lane] + shuffle(x, 0) + (any_lane(x < 0.0f) ? 100.0f : 0.0f);
  if (row < a.rows) a.y[row * 32 + lane] = turned;
}

struct Add {
  const float* x;
  float* y;
  int32_t size;
};

extern "C" __global__ void add(const Add a) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < a.size) a.y[i] += a.x[i];
}
