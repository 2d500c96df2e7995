// The arguments of kernels: the memory of tensors, and short lists from the caller. A kernel checks every size before
// it touches anything; what it throws becomes an exception in the caller's language.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace kasosei {

// The numbers of a tensor.
template <typename T>
struct Buffer {
  T* data;
  int64_t size;
  operator Buffer<const T>() const { return {data, size}; }
};
using In = Buffer<const float>;
using Out = Buffer<float>;

// Numbers that the caller passes along with tensors: ids, offsets, coefficients.
template <typename T>
struct List {
  const T* data;
  int64_t size;
  T operator[](int64_t i) const { return data[i]; }
};

// Throws `what`, the message of what was expected, unless `holds`.
inline void expect(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

template <typename T>
inline void expect_size(const Buffer<T>& buffer, int64_t size, const char* name) {
  if (buffer.size != size)
    throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(size) + " numbers, found " +
                                std::to_string(buffer.size));
}

// Throws unless all numbers of a list are indices below `bound`.
inline void expect_below(const List<int32_t>& list, int64_t bound, const char* name) {
  for (int64_t i = 0; i < list.size; i++)
    if (list[i] < 0 || list[i] >= bound)
      throw std::out_of_range(std::string(name) + "[" + std::to_string(i) + "]: expected 0 to " +
                              std::to_string(bound - 1) + ", found " + std::to_string(list[i]));
}

// Throws unless a list holds the starts of packed sequences, then `end`: from 0, not decreasing.
inline void expect_offsets(const List<int32_t>& offsets, int64_t end) {
  expect(offsets.size > 0 && offsets[0] == 0 && offsets[offsets.size - 1] == end,
         "expected offsets from 0 to the number of rows");
  for (int64_t i = 1; i < offsets.size; i++)
    expect(offsets[i - 1] <= offsets[i], "expected offsets that do not decrease");
}

}  // namespace kasosei
