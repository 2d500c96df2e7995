// The instructions of the device that kernels use, on the processor: in the place of the kernels' own file of this
// name.
#pragma once

#include "cuda_on_cpu.h"

// The place of the call, as parameters.
#define EMULATED_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace emulated {

inline float word_to_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

typedef float Row __attribute__((vector_size(32)));
typedef uint32_t WordRow __attribute__((vector_size(32)));

struct Fragments {
  float* c;
  const uint32_t* a;
  const uint32_t* b;
};

// The product of a warp, c [16, 8] += a b, where each lane has its parts of them and a word has a number of tf32, or
// two neighbours along the depth of bf16: 8 words deep. Sums in float32, in order of depth. (PTX ISA, "Matrix fragments
// for mma.m16n8k16" and "… m16n8k8".)
template <bool is_bf16>
inline void multiply_fragments(Warp& warp) {
  // The tensor core does not read the 13 lowest bits of a tf32 number.
  constexpr uint32_t high = is_bf16 ? 0xffff0000u : 0xffffe000u;
  uint32_t a[16][8], words[8][8];
  float c[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const Fragments& own = *static_cast<const Fragments*>(warp.operand[lane]);
    const int group = lane / 4, in_group = lane % 4;
    for (int i = 0; i < 4; i++) a[group + i % 2 * 8][in_group + i / 2 * 4] = own.a[i];
    for (int i = 0; i < 2; i++) words[in_group + i * 4][group] = own.b[i];
    for (int i = 0; i < 2; i++) memcpy(&c[group + i * 8][in_group * 2], own.c + i * 2, 8);
  }
  Row b[8], b_low[8];
  for (int q = 0; q < 8; q++) {
    WordRow row;
    memcpy(&row, words[q], sizeof row);
    b[q] = reinterpret_cast<Row>(row & high);
    b_low[q] = reinterpret_cast<Row>(row << 16);
  }
  for (int row = 0; row < 16; row++) {
    Row sum;
    memcpy(&sum, c[row], sizeof sum);
    for (int q = 0; q < 8; q++) {
      if (is_bf16) sum += word_to_float(a[row][q] << 16) * b_low[q];
      sum += word_to_float(a[row][q] & high) * b[q];
    }
    memcpy(c[row], &sum, sizeof sum);
  }
  for (int lane = 0; lane < 32; lane++) {
    float* own = static_cast<const Fragments*>(warp.operand[lane])->c;
    for (int i = 0; i < 2; i++) memcpy(own + i * 2, &c[lane / 4 + i * 8][lane % 4 * 2], 8);
  }
}

struct Matrices {
  uint32_t* registers;
  const void* row;
};

template <bool transposed>
inline void perform_load_matrices(Warp& warp) {
  for (int matrix = 0; matrix < 4; matrix++) {
    uint16_t elements[8][8];
    for (int row = 0; row < 8; row++) {
      memcpy(elements[row], static_cast<const Matrices*>(warp.operand[matrix * 8 + row])->row, 16);
    }
    for (int lane = 0; lane < 32; lane++) {
      const int row = lane / 4, pair = lane % 4 * 2;
      const uint32_t low = transposed ? elements[pair][row] : elements[row][pair];
      const uint32_t high = transposed ? elements[pair + 1][row] : elements[row][pair + 1];
      static_cast<const Matrices*>(warp.operand[lane])->registers[matrix] = low | high << 16;
    }
  }
}

inline void perform_shuffle(Warp& warp) {
  if (warp.live == ~0u) return;
  for (uint32_t lane = 0; lane < 32; lane++) {
    const uint32_t source = warp.source[warp.turn][lane];
    if ((warp.live >> lane & 1) && !(warp.live >> source & 1)) {
      undefined("%s at %s:%d: lane %u of warp %u asks lane %u, which is not there", warp.operation->name,
                warp.site.file, warp.site.line, lane, warp_index(warp), source);
    }
  }
}

inline void perform_vote(Warp& warp) {
  uint64_t any = 0;
  for (uint32_t lane = 0; lane < 32; lane++) {
    if (warp.waiting >> lane & 1) any |= warp.source[warp.turn][lane];
  }
  warp.word[warp.turn][0] = any;
}

constexpr Operation barrier_operation{"warp_barrier", false, nullptr}, vote_operation{"any_lane", false, perform_vote},
    shuffle_xor_operation{"shuffle_xor", false, perform_shuffle}, shuffle_operation{"shuffle", false, perform_shuffle},
    mma_bf16_operation{"mma_bf16", true, multiply_fragments<true>},
    mma_tf32_operation{"mma_tf32", true, multiply_fragments<false>},
    load_operation{"load_matrices", true, perform_load_matrices<false>},
    load_transposed_operation{"load_matrices_transposed", true, perform_load_matrices<true>};

template <class T>
inline T exchange(const Operation& operation, T value, uint32_t source, const Site& site) {
  static_assert(sizeof(T) <= 8);
  Warp& warp = *block.warp;
  const uint32_t turn = warp.turn, lane = block.lane;
  memcpy(&warp.word[turn][lane], &value, sizeof value);
  warp.source[turn][lane] = source;
  together(operation, site);
  memcpy(&value, &warp.word[turn][source], sizeof value);
  return value;
}

inline bool vote(bool value, const Site& site) {
  Warp& warp = *block.warp;
  const uint32_t turn = warp.turn;
  warp.source[turn][block.lane] = value;
  together(vote_operation, site);
  return warp.word[turn][0] != 0;
}

template <uint32_t bytes>
inline void copy_async(void* to, const void* from, bool inside, const char* name, const Site& site) {
  need_shared<bytes>(to, name, site);
  if (__builtin_expect(inside && reinterpret_cast<uintptr_t>(from) % bytes != 0, 0)) {
    undefined("thread %u: %s at %s:%d takes a global address that is not aligned to %u bytes", threadIdx.x, name,
              site.file, site.line, bytes);
  }
  Copies& copies = block.copies[threadIdx.x];
  if (__builtin_expect(copies.count == copies.capacity, 0)) grow(copies);
  copies.list[copies.count++] = {to, inside ? from : nullptr, bytes, copies.group};
  // Between the start and the end of a copy, nothing is known of its destination.
  memset(to, 0xff, bytes);
}

template <uint32_t bytes>
inline void finish(const Copy& copy) {
  if (copy.from != nullptr) {
    memcpy(copy.to, copy.from, bytes);
  } else {
    memset(copy.to, 0, bytes);
  }
}

}  // namespace emulated

template <class T>
inline T* dynamic_shared() {
  return reinterpret_cast<T*>(emulated::block.dynamic);
}

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATED_SITE) {
  const emulated::Fragments own{c, a, b};
  emulated::block.warp->operand[emulated::block.lane] = &own;
  emulated::together(emulated::mma_bf16_operation, {file, line});
}

inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATED_SITE) {
  const emulated::Fragments own{c, a, b};
  emulated::block.warp->operand[emulated::block.lane] = &own;
  emulated::together(emulated::mma_tf32_operation, {file, line});
}

inline void load_matrices(uint32_t (&r)[4], const void* row, EMULATED_SITE) {
  emulated::need_shared<16>(row, "load_matrices", {file, line});
  const emulated::Matrices own{r, row};
  emulated::block.warp->operand[emulated::block.lane] = &own;
  emulated::together(emulated::load_operation, {file, line});
}

inline void load_matrices_transposed(uint32_t (&r)[4], const void* row, EMULATED_SITE) {
  emulated::need_shared<16>(row, "load_matrices_transposed", {file, line});
  const emulated::Matrices own{r, row};
  emulated::block.warp->operand[emulated::block.lane] = &own;
  emulated::together(emulated::load_transposed_operation, {file, line});
}

inline void copy_async_16(void* shared, const void* global, bool inside, EMULATED_SITE) {
  emulated::copy_async<16>(shared, global, inside, "copy_async_16", {file, line});
}

inline void copy_async_4(void* shared, const void* global, bool inside, EMULATED_SITE) {
  emulated::copy_async<4>(shared, global, inside, "copy_async_4", {file, line});
}

inline void copies_commit() { emulated::block.copies[threadIdx.x].group++; }

// Only now the copies are made: of all groups but the `pending` last ones.
template <int pending>
inline void copies_wait() {
  emulated::Copies& copies = emulated::block.copies[threadIdx.x];
  uint32_t kept = 0;
  for (uint32_t i = 0; i < copies.count; i++) {
    const emulated::Copy copy = copies.list[i];
    if (copy.group + pending >= copies.group) {
      copies.list[kept++] = copy;
    } else if (copy.bytes == 16) {
      emulated::finish<16>(copy);
    } else {
      emulated::finish<4>(copy);
    }
  }
  copies.count = kept;
}

inline float float_of(uint32_t bits) { return emulated::word_to_float(bits); }

inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

// To the nearest of 10 bits after the point, ties away from zero.
inline uint32_t to_tf32(float x) {
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0x007fffffu ? 0x7fffffffu : bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

inline uint32_t pack_bf16(float low, float high) {
  const auto rounded = [](float x) -> uint32_t {
    const uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
    return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  };
  return rounded(low) | rounded(high) << 16;
}

inline float sqrt_rn(float x) { return __builtin_sqrtf(x); }
inline double sqrt_rn(double x) { return __builtin_sqrt(x); }
inline float divide_rn(float x, float y) { return x / y; }
inline float exp2_approximate(float x) {
  if (x < -126) return 0;
  return __builtin_exp2f(x);
}
inline uint32_t multiply_high(uint32_t x, uint32_t y) { return static_cast<uint32_t>(uint64_t{x} * y >> 32); }
inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

#define EMULATED_SHUFFLES(T)                                                                                          \
  inline T shuffle_xor(T v, int mask, EMULATED_SITE) {                                                                \
    return emulated::exchange(emulated::shuffle_xor_operation, v, (emulated::block.lane ^ mask) & 31u, {file, line}); \
  }                                                                                                                   \
  inline T shuffle(T v, int lane, EMULATED_SITE) {                                                                    \
    return emulated::exchange(emulated::shuffle_operation, v, lane & 31u, {file, line});                              \
  }
EMULATED_SHUFFLES(float)
EMULATED_SHUFFLES(uint32_t)
EMULATED_SHUFFLES(int32_t)
EMULATED_SHUFFLES(double)
EMULATED_SHUFFLES(uint64_t)
#undef EMULATED_SHUFFLES

inline bool any_lane(bool value, EMULATED_SITE) { return emulated::vote(value, {file, line}); }

inline void warp_barrier(EMULATED_SITE) { emulated::together(emulated::barrier_operation, {file, line}); }

inline void block_barrier(EMULATED_SITE) {
  emulated::Block& block = emulated::block;
  if (!block.at_barrier) {
    block.at_barrier = true;
    block.barrier = {file, line};
  } else if (block.barrier != emulated::Site{file, line}) {
    emulated::undefined("thread %u is at block_barrier at %s:%d, and others are at that at %s:%d", threadIdx.x, file,
                        line, block.barrier.file, block.barrier.line);
  }
  const uint32_t bit = 1u << block.lane;
  block.warp->at_barrier |= bit;
  block.warp->ready &= ~bit;
  emulated::pause();
}
