// Dropout masks from the counter-based stream: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
// as easy as 1, 2, 3", SC 2011), as core/tensor/stream.ts defines it. Any part of a mask can be computed at any time,
// so none is saved for the backward pass.
#pragma once

#include <algorithm>
#include <utility>

#include "buffer.h"
#include "vector.h"

namespace native {

namespace philox {

struct Wide {
  Words high, low;
};

// The full 64 bits of x · m in each lane.
inline Wide multiply(Words x, uint32_t m) {
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

template <int... lane>
inline Words zip(Words a, Words b, int from, std::integer_sequence<int, lane...>) {
  return from == 0 ? __builtin_shufflevector(a, b, (lane / 2 + (lane % 2) * lanes)...)
                   : __builtin_shufflevector(a, b, (lanes / 2 + lane / 2 + (lane % 2) * lanes)...);
}

// a₀ b₀ a₁ b₁ …: the first half (0) or the second (1).
inline Words zip(Words a, Words b, int half) { return zip(a, b, half, std::make_integer_sequence<int, lanes>{}); }

}  // namespace philox

// The mask of one site of a model, from a list of the caller: [rate, seed, hash of the stream's name, site, iteration],
// or an empty list for no dropout.
class Dropout {
 public:
  explicit Dropout(const List<double>& dropout) {
    expect(dropout.size == 0 || dropout.size == 5, "expected a dropout list of 5 numbers, or an empty one");
    if (dropout.size == 0) return;
    const double rate = dropout[0], seed = dropout[1], name_hash = dropout[2];
    const uint64_t iteration = static_cast<uint64_t>(dropout[4]);
    expect(rate >= 0 && rate < 1, "expected a dropout rate in [0, 1)");
    active = rate > 0;
    const double rounded = static_cast<double>(static_cast<uint64_t>(rate * 4294967296.0 + 0.5));
    threshold = static_cast<uint32_t>(std::min(4294967295.0, rounded));
    scale = static_cast<float>(1 / (1 - rate));
    key0 = static_cast<uint32_t>(seed);
    key1 = static_cast<uint32_t>(name_hash);
    site = static_cast<uint32_t>(dropout[3]);
    iteration_low = static_cast<uint32_t>(iteration);
    iteration_high = static_cast<uint32_t>(iteration >> 32);
  }

  bool active = false;

  // Numbers computed at a time.
  static constexpr int chunk = 4 * lanes;

  // Elements first … first + count − 1 of the mask: 0 or 1 / (1 − rate).
  void fill(int64_t first, int64_t count, float* to) const {
    alignas(64) float made[chunk];
    int64_t from = first / 4 * 4;
    for (int64_t filled = 0; filled < count; from += chunk) {
      const int64_t skip = std::max<int64_t>(0, first - from);
      const int64_t size = std::min<int64_t>(chunk - skip, count - filled);
      if (size == chunk) make(from / 4, to + filled);
      else {
        make(from / 4, made);
        std::copy_n(made + skip, size, to + filled);
      }
      filled += size;
    }
  }

 private:
  uint32_t threshold = 0, key0 = 0, key1 = 0, site = 0, iteration_low = 0, iteration_high = 0;
  float scale = 1;

  // The elements of `lanes` neighbouring blocks of four.
  void make(int64_t block, float* to) const {
    Words x0 = Words{} + static_cast<uint32_t>(block), x1 = Words{} + site, x2 = Words{} + iteration_low,
          x3 = Words{} + iteration_high;
    for (int i = 0; i < lanes; i++) x0[i] += i;
    uint32_t k0 = key0, k1 = key1;
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
      const philox::Wide first = philox::multiply(x0, 0xd2511f53), second = philox::multiply(x2, 0xcd9e8d57);
      x0 = second.high ^ x1 ^ k0;
      x1 = second.low;
      x2 = first.high ^ x3 ^ k1;
      x3 = first.low;
      k0 += 0x9e3779b9;
      k1 += 0xbb67ae85;
    }
    for (int half = 0; half < 2; half++) {
      const Words even = philox::zip(x0, x2, half), odd = philox::zip(x1, x3, half);
      for (int quarter = 0; quarter < 2; quarter++) {
        const Words words = philox::zip(even, odd, quarter);
        store(to + (2 * half + quarter) * lanes, choose(words < threshold, Floats{}, all(scale)));
      }
    }
  }
};

}  // namespace native
