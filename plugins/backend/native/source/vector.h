// Vectors of floats, as wide as those of the processor that the addon is built for: 16 lanes with AVX-512, 8 with AVX2,
// 4 elsewhere (SSE, NEON). They are the compiler's own vector types, so the arithmetic is written once, and intrinsics
// appear only inside guards.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kasosei {

#if defined(__AVX512F__)
constexpr int lanes = 16;
constexpr const char* instructions = "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int lanes = 8;
constexpr const char* instructions = "AVX2";
#else
constexpr int lanes = 4;
constexpr const char* instructions = "plain";
#endif

typedef float Floats __attribute__((vector_size(lanes * 4)));
typedef int32_t Ints __attribute__((vector_size(lanes * 4)));
typedef uint32_t Words __attribute__((vector_size(lanes * 4)));

// Tensors begin at multiples of 64 bytes, but their rows need not.
typedef float UnalignedFloats __attribute__((vector_size(lanes * 4), aligned(4), may_alias));

inline Floats load(const float* from) { return *reinterpret_cast<const UnalignedFloats*>(from); }
inline void store(float* to, Floats value) { *reinterpret_cast<UnalignedFloats*>(to) = value; }
inline Floats all(float value) { return value - Floats{}; }

// Only the first `count` lanes: the others are 0 when loaded, and unchanged in memory when stored. Masked instructions
// where there are any: a copy of a length that the compiler does not know is a call of the C library.
#if defined(__AVX512F__)
inline __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }
inline Floats load_some(const float* from, int count) { return _mm512_maskz_loadu_ps(first_lanes(count), from); }
inline void store_some(float* to, Floats value, int count) { _mm512_mask_storeu_ps(to, first_lanes(count), value); }
#elif defined(__AVX2__) && defined(__FMA__)
inline __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Floats load_some(const float* from, int count) { return _mm256_maskload_ps(from, first_lanes(count)); }
inline void store_some(float* to, Floats value, int count) { _mm256_maskstore_ps(to, first_lanes(count), value); }
#else
inline Floats load_some(const float* from, int count) {
  Floats value{};
  for (int i = 0; i < lanes; i++)
    if (i < count) value[i] = from[i];
  return value;
}
inline void store_some(float* to, Floats value, int count) {
  for (int i = 0; i < lanes; i++)
    if (i < count) to[i] = value[i];
}
#endif

inline Floats bits_to_floats(Ints bits) { return reinterpret_cast<Floats>(bits); }
inline Ints floats_to_bits(Floats value) { return reinterpret_cast<Ints>(value); }

// A comparison gives all ones or all zeros in each lane. If it is false, as with NaN, the result is `otherwise`.
inline Floats choose(Ints condition, Floats value, Floats otherwise) { return condition ? value : otherwise; }
// NaN stays NaN: of two numbers of which one is NaN, the instruction gives the second.
#if defined(__AVX512F__)
inline Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX2__) && defined(__FMA__)
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
#else
inline Floats larger(Floats a, Floats b) { return choose(b < a, a, b); }
inline Floats smaller(Floats a, Floats b) { return choose(b > a, a, b); }
#endif
inline Floats at_least(Floats value, float bound) { return larger(all(bound), value); }
inline Floats at_most(Floats value, float bound) { return smaller(all(bound), value); }
inline Ints to_integers(Floats value) { return __builtin_convertvector(value, Ints); }
inline Floats magnitude(Floats value) { return bits_to_floats(floats_to_bits(value) & 0x7fffffff); }

inline Floats square_root(Floats value) {
#if defined(__AVX512F__)
  return _mm512_sqrt_ps(value);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_sqrt_ps(value);
#else
  for (int i = 0; i < lanes; i++) value[i] = __builtin_sqrtf(value[i]);
  return value;
#endif
}

struct Wide {
  Words high, low;
};

// The full 64 bits of x · m in each lane.
inline Wide multiply_wide(Words x, uint32_t m) {
#if defined(__AVX512F__)
  const __m512i a = reinterpret_cast<__m512i>(x), b = _mm512_set1_epi32(m);
  const __m512i even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), b);
  return {reinterpret_cast<Words>(_mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xaaaa, odd)),
          reinterpret_cast<Words>(_mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32)))};
#else
  typedef uint64_t Long __attribute__((vector_size(lanes * 8)));
  const Long product = __builtin_convertvector(x, Long) * m;
  return {__builtin_convertvector(product >> 32, Words), __builtin_convertvector(product, Words)};
#endif
}

// The sum of all lanes, always paired in the same way.
inline float sum_lanes(Floats value) {
#if defined(__AVX512F__)
  const __m256d high = _mm512_extractf64x4_pd(_mm512_castps_pd(value), 1);
  const __m256 eight = _mm512_castps512_ps256(value) + _mm256_castpd_ps(high);
#elif defined(__AVX2__) && defined(__FMA__)
  const __m256 eight = value;
#endif
#if defined(__AVX2__) && defined(__FMA__)
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
#else
  const Floats four = value;
#endif
  return (four[0] + four[2]) + (four[1] + four[3]);
}

// The largest of `size` numbers, at least one; if some are NaN, it may be NaN or the largest of the others.
inline float largest_of(const float* from, int64_t size) {
  Floats largest = all(from[0]);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) largest = larger(largest, load(from + i));
  float value = from[0];
  for (int lane = 0; lane < lanes; lane++) value = largest[lane] > value ? largest[lane] : value;
  for (; i < size; i++) value = from[i] > value ? from[i] : value;
  return value;
}

// Calls body(i, count) for i = 0, lanes, 2 lanes, …: count is `lanes`, as a compile-time constant, except in the last
// call, where it is the remainder.
template <typename Body>
inline void for_lanes(int64_t size, Body&& body) {
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) body(i, std::integral_constant<int, lanes>{});
  if (i < size) body(i, static_cast<int>(size - i));
}
inline Floats load_some(const float* from, std::integral_constant<int, lanes>) { return load(from); }
inline void store_some(float* to, Floats value, std::integral_constant<int, lanes>) { store(to, value); }

namespace transposition {
// Swaps the off-diagonal blocks of `width` lanes between rows i and i + width, for all i without that bit.
template <int width, int... lane>
inline Floats low(Floats a, Floats b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b, (lane & width ? lanes + lane - width : lane)...);
}
template <int width, int... lane>
inline Floats high(Floats a, Floats b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b, (lane & width ? lanes + lane : lane + width)...);
}
template <int width>
inline void stage(Floats (&rows)[lanes]) {
  if constexpr (width < lanes) {
    constexpr auto sequence = std::make_integer_sequence<int, lanes>{};
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) {
      if (i & width) continue;
      const Floats a = rows[i], b = rows[i + width];
      rows[i] = low<width>(a, b, sequence);
      rows[i + width] = high<width>(a, b, sequence);
    }
    stage<width * 2>(rows);
  }
}
}  // namespace transposition

// Transposes a square of lanes x lanes in registers, in log₂ lanes stages that each exchange halves.
inline void transpose(Floats (&rows)[lanes]) { transposition::stage<1>(rows); }

}  // namespace kasosei
