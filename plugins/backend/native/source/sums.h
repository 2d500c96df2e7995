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
  parallel_for(groups, rows * columns, [&](int64_t group) {
    const int64_t first = group * rows_in_a_sum, end = first + rows_in_a_sum < rows ? first + rows_in_a_sum : rows;
    for_lanes(columns, [&](int64_t column, auto count) {
      Floats sum{};
      for (int64_t row = first; row < end; row++) sum += term(row, column, count);
      store_some(partial + group * columns + column, sum, count);
    });
  });
  for (int64_t column = 0; column < columns; column++) {
    double sum = 0;
    for (int64_t group = 0; group < groups; group++) sum += partial[group * columns + column];
    to[column] = static_cast<float>(sum);
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
