// The arguments of elementwise kernels and of the transpose, checked.
#pragma once

#include "buffer.h"

namespace kasosei {

// Throws unless `b` is as long as `a`, or can be broadcast to it: a row vector, or one number.
inline void expect_combinable(In a, In b, Out out) {
  expect_size(out, a.size, "out");
  if (a.size > 0) expect(b.size > 0 && a.size % b.size == 0, "expected a size of a that is a multiple of the size of b");
}

inline void expect_tanh(In x, Out y) { expect_size(y, x.size, "y"); }

inline void expect_tanh_gradient(In dy, In y, Out dx) {
  expect_size(dy, y.size, "dy");
  expect_size(dx, y.size, "dx");
}

inline void expect_dropout(In x, Out y, const List<int32_t>& indices_N) {
  expect_size(y, x.size, "y");
  if (x.size > 0) expect(indices_N.size == 0 || x.size % indices_N.size == 0, "expected x with a row for each index");
}

// The number of columns of x.
inline int64_t transpose_columns(In x_TH, Out y_HT, int64_t rows) {
  expect_size(y_HT, x_TH.size, "y");
  if (x_TH.size == 0) return 0;
  expect(rows > 0 && x_TH.size % rows == 0, "expected x with that number of rows");
  return x_TH.size / rows;
}

}  // namespace kasosei
