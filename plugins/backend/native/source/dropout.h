// Dropout masks as rows of numbers to multiply with.
#pragma once

#include <algorithm>
#include <utility>

#include "mask-list.h"
#include "philox.h"

namespace kasosei {

template <int... lane>
inline Words zip(Words a, Words b, int from, std::integer_sequence<int, lane...>) {
  return from == 0 ? __builtin_shufflevector(a, b, (lane / 2 + (lane % 2) * lanes)...)
                   : __builtin_shufflevector(a, b, (lanes / 2 + lane / 2 + (lane % 2) * lanes)...);
}

// a₀ b₀ a₁ b₁ …: the first half (0) or the second (1).
inline Words zip(Words a, Words b, int half) { return zip(a, b, half, std::make_integer_sequence<int, lanes>{}); }

class Dropout {
 public:
  explicit Dropout(const List<double>& list) : mask(mask_of(list)), active(mask.active) {}

  const Mask mask;
  const bool active;

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
  // The elements of `lanes` neighbouring blocks of four.
  void make(int64_t block, float* to) const {
    Words blocks = Words{} + static_cast<uint32_t>(block);
    for (int i = 0; i < lanes; i++) blocks[i] += i;
    const Draws drawn = philox(mask, blocks);
    for (int half = 0; half < 2; half++) {
      const Words even = zip(drawn.x0, drawn.x2, half), odd = zip(drawn.x1, drawn.x3, half);
      for (int quarter = 0; quarter < 2; quarter++) {
        const Words words = zip(even, odd, quarter);
        store(to + (2 * half + quarter) * lanes, choose(words < mask.threshold, Floats{}, all(mask.scale)));
      }
    }
  }
};

}  // namespace kasosei
