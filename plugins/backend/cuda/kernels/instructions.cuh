// What a GPU has beside C++: the only file with its assembly, so that the kernels can be run elsewhere with another one.
// Everything compiles without CUDA's headers: by NVRTC, where all functions are of the device, and by clang++.
#pragma once

#if defined(__CUDACC_RTC__)
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned short uint16_t;
typedef unsigned char uint8_t;
typedef unsigned long long uintptr_t;
#else
#include <cstdint>
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

// NVRTC knows these names.
#define KASOSEI_REGISTERS(type, name, prefix)                                  \
  struct type {                                                                \
    __declspec(property(get = get_x)) unsigned x;                              \
    __declspec(property(get = get_y)) unsigned y;                              \
    __declspec(property(get = get_z)) unsigned z;                              \
    __device__ static unsigned get_x() { return __nvvm_read_ptx_sreg_##prefix##_x(); } \
    __device__ static unsigned get_y() { return __nvvm_read_ptx_sreg_##prefix##_y(); } \
    __device__ static unsigned get_z() { return __nvvm_read_ptx_sreg_##prefix##_z(); } \
  };                                                                           \
  extern const __device__ type name;
KASOSEI_REGISTERS(ThreadIndex, threadIdx, tid)
KASOSEI_REGISTERS(BlockIndex, blockIdx, ctaid)
KASOSEI_REGISTERS(BlockSize, blockDim, ntid)
KASOSEI_REGISTERS(GridSize, gridDim, nctaid)
#undef KASOSEI_REGISTERS
#pragma clang force_cuda_host_device begin
#endif

namespace kasosei {

constexpr uint32_t whole_warp = 0xffffffff;

inline uint32_t bits_of(float value) {
  uint32_t bits;
  asm("mov.b32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}
inline float float_of(uint32_t bits) {
  float value;
  asm("mov.b32 %0, %1;" : "=f"(value) : "r"(bits));
  return value;
}

// Rounded to nearest, whatever the compiler's options.
inline float fused(float a, float b, float c) {
  float value;
  asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(value) : "f"(a), "f"(b), "f"(c));
  return value;
}
inline float sqrt_rn(float x) {
  float value;
  asm("sqrt.rn.f32 %0, %1;" : "=f"(value) : "f"(x));
  return value;
}
inline double sqrt_rn(double x) {
  double value;
  asm("sqrt.rn.f64 %0, %1;" : "=d"(value) : "d"(x));
  return value;
}
inline float divide_rn(float a, float b) {
  float value;
  asm("div.rn.f32 %0, %1, %2;" : "=f"(value) : "f"(a), "f"(b));
  return value;
}
// 2ˣ to 2⁻²² of it; 0 where it is no longer a normal number.
inline float exp2_approximate(float x) {
  float value;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(value) : "f"(x));
  return value;
}
inline uint32_t multiply_high(uint32_t a, uint32_t b) {
  uint32_t high;
  asm("mul.hi.u32 %0, %1, %2;" : "=r"(high) : "r"(a), "r"(b));
  return high;
}

// All threads of the block.
inline void block_barrier() { asm volatile("bar.sync 0;" ::: "memory"); }
// All lanes of the warp.
inline void warp_barrier() { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }

inline uint32_t shuffle_xor(uint32_t value, int mask) {
  uint32_t other;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(other) : "r"(value), "r"(mask));
  return other;
}
inline uint32_t shuffle(uint32_t value, int lane) {
  uint32_t other;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(other) : "r"(value), "r"(lane));
  return other;
}
inline float shuffle_xor(float value, int mask) { return float_of(shuffle_xor(bits_of(value), mask)); }
inline float shuffle(float value, int lane) { return float_of(shuffle(bits_of(value), lane)); }
inline double shuffle_xor(double value, int mask) {
  uint32_t low, high;
  asm("mov.b64 {%0, %1}, %2;" : "=r"(low), "=r"(high) : "d"(value));
  low = shuffle_xor(low, mask);
  high = shuffle_xor(high, mask);
  double other;
  asm("mov.b64 %0, {%1, %2};" : "=d"(other) : "r"(low), "r"(high));
  return other;
}
inline uint64_t shuffle_xor(uint64_t value, int mask) {
  const uint32_t low = shuffle_xor(static_cast<uint32_t>(value), mask);
  const uint32_t high = shuffle_xor(static_cast<uint32_t>(value >> 32), mask);
  return static_cast<uint64_t>(high) << 32 | low;
}
// Whether the condition holds in some lane.
inline bool any_lane(bool condition) {
  uint32_t found;
  asm volatile("{.reg .pred p, q; setp.ne.u32 p, %1, 0; vote.sync.any.pred q, p, 0xffffffff; selp.u32 %0, 1, 0, q;}"
               : "=r"(found)
               : "r"(static_cast<uint32_t>(condition)));
  return found != 0;
}

// The block's shared memory whose size the launch says, aligned to 16 bytes.
template <typename T>
inline T* dynamic_shared() {
  alignas(16) extern __shared__ uint64_t kasosei_dynamic[];
  return reinterpret_cast<T*>(kasosei_dynamic);
}

// Two bfloat16 numbers in a word, rounded to nearest, ties to even.
inline uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
inline uint32_t to_tf32(float value) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
  return rounded;
}

// c [16, 8] += a [16, 16] b [16, 8], in the fragments of the PTX manual (mma.m16n8k16, then mma.m16n8k8).
inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

inline uint32_t shared_address(const void* pointer) {
#if defined(__CUDACC_RTC__)
  uint64_t address;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(reinterpret_cast<uint64_t>(pointer)));
  return static_cast<uint32_t>(address);
#else
  // Clang would keep every address that assembly makes in a register of its own, also those that differ by a constant.
  return static_cast<uint32_t>(reinterpret_cast<uint64_t>((__attribute__((address_space(3))) const void*)pointer));
#endif
}

// Four matrices of 8 x 8 numbers of 16 bits: lane l gives the address of row l mod 8 of matrix ⌊l / 8⌋.
inline void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// Copies that go on while the thread does: 16 bytes, or 4. Zeros if not `inside`: then `global` is not read.
inline void copy_async_16(void* shared, const void* global, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(inside ? 16 : 0)
               : "memory");
}
inline void copy_async_4(void* shared, const void* global, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(inside ? 4 : 0)
               : "memory");
}
// Ends a group of copies.
inline void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits for this thread's copies, but for the last `pending` groups; those of others follow by a barrier.
template <int pending>
inline void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

}  // namespace kasosei
