// Dropout masks as the caller describes them.
#pragma once

#include <algorithm>

#include "buffer.h"
#include "mask.h"

namespace kasosei {

// From a list of the caller: [rate, seed, hash of the stream's name, site, iteration], or an empty list for no dropout.
inline Mask mask_of(const List<double>& dropout) {
  expect(dropout.size == 0 || dropout.size == 5, "expected a dropout list of 5 numbers, or an empty one");
  Mask mask;
  if (dropout.size == 0) return mask;
  const double rate = dropout[0], seed = dropout[1], name_hash = dropout[2];
  const uint64_t iteration = static_cast<uint64_t>(dropout[4]);
  expect(rate >= 0 && rate < 1, "expected a dropout rate in [0, 1)");
  mask.active = rate > 0;
  const double rounded = static_cast<double>(static_cast<uint64_t>(rate * 4294967296.0 + 0.5));
  mask.threshold = static_cast<uint32_t>(std::min(4294967295.0, rounded));
  mask.scale = static_cast<float>(1 / (1 - rate));
  mask.key0 = static_cast<uint32_t>(seed);
  mask.key1 = static_cast<uint32_t>(name_hash);
  mask.site = static_cast<uint32_t>(dropout[3]);
  mask.iteration_low = static_cast<uint32_t>(iteration);
  mask.iteration_high = static_cast<uint32_t>(iteration >> 32);
  return mask;
}

}  // namespace kasosei
