// How the numbers of a tensor are divided among the threads of the GPU, and lists that are made for it.
#pragma once

#include <algorithm>
#include <vector>

#include "device.h"

namespace kasosei {

// Whether numbers from here on can be read and written in fours.
inline bool in_fours(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }
template <typename... Addresses>
inline bool in_fours(const void* address, Addresses... others) {
  return in_fours(address) && in_fours(others...);
}

// Blocks whose threads take one item after another, as many as are on the device at a time, or fewer.
inline Launch for_items(int64_t items) {
  constexpr int threads = 256;
  const int64_t largest = int64_t{8} * multiprocessors();
  return {.blocks = {std::min(divide_up(items, threads), largest)}, .threads = threads};
}

// The same for numbers, most of which are taken in fours if `fours`.
inline Launch for_numbers(int64_t numbers, bool fours) { return for_items(fours ? divide_up(numbers, 4) : numbers); }

template <typename T>
inline const T* upload(const std::vector<T>& list) {
  return upload(List<T>{list.data(), static_cast<int64_t>(list.size())});
}

}  // namespace kasosei
