// Random numbers by a counter: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011), as core/tensor/stream.ts defines it. The same source for all devices.
#pragma once

#include "mask.h"
#include "vector.h"

namespace kasosei {

// Four numbers for each lane.
struct Draws {
  Words x0, x1, x2, x3;
};

// The numbers of a site's blocks of four: lane i has those of `block`'s lane i.
inline Draws philox(const Mask& mask, Words block) {
  Words x0 = block, x1 = Words{} + mask.site, x2 = Words{} + mask.iteration_low, x3 = Words{} + mask.iteration_high;
  uint32_t k0 = mask.key0, k1 = mask.key1;
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    const Wide first = multiply_wide(x0, 0xd2511f53), second = multiply_wide(x2, 0xcd9e8d57);
    x0 = second.high ^ x1 ^ k0;
    x1 = second.low;
    x2 = first.high ^ x3 ^ k1;
    x3 = first.low;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return {x0, x1, x2, x3};
}

}  // namespace kasosei
