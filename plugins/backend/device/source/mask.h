// The dropout mask of one site of a model in one iteration. Any part of it can be computed at any time, so none is saved
// for the backward pass.
#pragma once

#if !defined(__CUDACC_RTC__)
#include <cstdint>
#endif

namespace kasosei {

// An element is 0 if its number is below the threshold, and 1 / (1 − rate) otherwise. Element e has number e mod 4 of
// block ⌊e / 4⌋.
struct Mask {
  uint32_t threshold = 0, key0 = 0, key1 = 0, site = 0, iteration_low = 0, iteration_high = 0;
  float scale = 1;
  bool active = false;
};

}  // namespace kasosei
