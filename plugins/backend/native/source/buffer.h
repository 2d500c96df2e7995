// What kernels get: the memory of tensors, and short lists from the caller. A kernel checks every size before it
// touches anything; what it throws becomes an exception in the caller's language.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace native {

// The numbers of a tensor.
template <typename T>
struct Buffer {
  T* data;
  int64_t size;
  operator Buffer<const T>() const { return {data, size}; }
};
using In = Buffer<const float>;
using Out = Buffer<float>;

// Numbers that the caller lists beside its tensors: ids, offsets, coefficients.
template <typename T>
struct List {
  const T* data;
  int64_t size;
  T operator[](int64_t i) const { return data[i]; }
};

// Throws unless it holds, saying what was found or expected.
inline void expect(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

template <typename T>
inline void expect_size(const Buffer<T>& buffer, int64_t size, const char* name) {
  if (buffer.size != size)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(buffer.size) + " numbers where " +
                                std::to_string(size) + " were expected");
}

// Throws unless all numbers of a list are indices below `bound`.
inline void expect_below(const List<int32_t>& list, int64_t bound, const char* name) {
  for (int64_t i = 0; i < list.size; i++)
    if (list[i] < 0 || list[i] >= bound)
      throw std::out_of_range(std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(list[i]) +
                              ", outside of 0 to " + std::to_string(bound - 1));
}

// Throws unless a list is where packed sequences begin, and at last the number of tokens: rising from 0 to `end`.
inline void expect_offsets(const List<int32_t>& offsets, int64_t end) {
  expect(offsets.size > 0 && offsets[0] == 0 && offsets[offsets.size - 1] == end, "offsets do not cover the rows");
  for (int64_t i = 1; i < offsets.size; i++) expect(offsets[i - 1] <= offsets[i], "offsets do not rise");
}

}  // namespace native
