// Sums over the rows of a matrix.
#pragma once

#include "buffer.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {

// Rows per group: a group is added in float32, row after row, and the sums of the groups in float64, in their order.
constexpr int64_t rows_in_a_sum = 64;

// to[column] = Σ over rows of term(row, column, count), where a term is a vector of `count` neighbouring columns.
template <typename Term>
inline void sum_columns(int64_t rows, int64_t columns, float* to, const Term& term) {
  static thread_local Scratch scratch;
  const int64_t groups = (rows + rows_in_a_sum - 1) / rows_in_a_sum;
  float* partial = scratch.floats(groups * columns);
  // Vectors that are summed side by side: a row's are neighbours in memory, and no addition waits for the one before.
  constexpr int beside = 8;
  parallel_for(groups, rows * columns, [&](int64_t group) {
    const int64_t first = group * rows_in_a_sum, end = first + rows_in_a_sum < rows ? first + rows_in_a_sum : rows;
    float* sums = partial + group * columns;
    constexpr auto whole = std::integral_constant<int, lanes>{};
    int64_t column = 0;
    for (; column + beside * lanes <= columns; column += beside * lanes) {
      Floats sum[beside] = {};
      for (int64_t row = first; row < end; row++)
#pragma GCC unroll 8
        for (int v = 0; v < beside; v++) sum[v] += term(row, column + v * lanes, whole);
      for (int v = 0; v < beside; v++) store(sums + column + v * lanes, sum[v]);
    }
    for_lanes(columns - column, [&](int64_t i, auto count) {
      Floats sum{};
      for (int64_t row = first; row < end; row++) sum += term(row, column + i, count);
      store_some(sums + column + i, sum, count);
    });
  });
  constexpr int64_t at_once = 256;
  double sum[at_once];
  for (int64_t column = 0; column < columns; column += at_once) {
    const int64_t length = columns - column < at_once ? columns - column : at_once;
    for (int64_t i = 0; i < length; i++) sum[i] = 0;
    for (int64_t group = 0; group < groups; group++)
      for (int64_t i = 0; i < length; i++) sum[i] += partial[group * columns + column + i];
    for (int64_t i = 0; i < length; i++) to[column + i] = static_cast<float>(sum[i]);
  }
}

// The sum of all rows.
inline void sum_rows(In x_TH, Out sum_H) {
  expect(sum_H.size > 0 && x_TH.size % sum_H.size == 0, "expected rows of x as long as their sum");
  sum_columns(x_TH.size / sum_H.size, sum_H.size, sum_H.data, [&](int64_t row, int64_t column, auto count) {
    return load_some(x_TH.data + row * sum_H.size + column, count);
  });
}

}  // namespace kasosei
