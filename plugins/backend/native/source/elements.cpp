// Elementwise kernels, and the transpose.
#include <algorithm>
#include <cmath>

#include "binding.h"
#include "dropout.h"
#include "element-shapes.h"
#include "kernels.h"
#include "threads.h"

namespace kasosei {
namespace {

// `b` is as long as `a`, or is broadcast: a row vector, or one number. `out` may be `a`.
template <typename Operation>
void combine(In a, In b, Out out, Operation operation) {
  expect_combinable(a, b, out);
  if (a.size == 0) return;
  const int64_t width = b.size;
  if (width == 1) {
    const Floats right = all(b.data[0]);
    parallel_for_ranges(a.size, 1, [&](int64_t first, int64_t end) {
      for_lanes(end - first, [&](int64_t i, auto count) {
        store_some(out.data + first + i, operation(load_some(a.data + first + i, count), right), count);
      });
    });
  } else if (width == a.size) {
    parallel_for_ranges(a.size, 1, [&](int64_t first, int64_t end) {
      for_lanes(end - first, [&](int64_t i, auto count) {
        const Floats left = load_some(a.data + first + i, count), right = load_some(b.data + first + i, count);
        store_some(out.data + first + i, operation(left, right), count);
      });
    });
  } else {
    parallel_for_ranges(a.size / width, width, [&](int64_t first, int64_t end) {
      for (int64_t row = first; row < end; row++)
        for_lanes(width, [&](int64_t i, auto count) {
          const Floats left = load_some(a.data + row * width + i, count), right = load_some(b.data + i, count);
          store_some(out.data + row * width + i, operation(left, right), count);
        });
    });
  }
}

}  // namespace

void add(In a, In b, Out out) {
  combine(a, b, out, [](Floats x, Floats y) { return x + y; });
}
EXPORT(add, "add")

void subtract(In a, In b, Out out) {
  combine(a, b, out, [](Floats x, Floats y) { return x - y; });
}
EXPORT(subtract, "subtract")

void multiply_elements(In a, In b, Out out) {
  combine(a, b, out, [](Floats x, Floats y) { return x * y; });
}
EXPORT(multiply_elements, "multiply")

void fill(Out out, double value) {
  parallel_for_ranges(out.size, 1, [&](int64_t first, int64_t end) {
    std::fill(out.data + first, out.data + end, static_cast<float>(value));
  });
}
EXPORT(fill, "fill")

void tanh_elements(In x, Out y) {
  expect_tanh(x, y);
  parallel_for_ranges(x.size, 64, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) y.data[i] = static_cast<float>(std::tanh(static_cast<double>(x.data[i])));
  });
}
EXPORT(tanh_elements, "tanh")

// (1 − y²) dy, in which the square, the difference and the product are each rounded to float32.
void tanh_gradient(In dy, In y, Out dx) {
  expect_tanh_gradient(dy, y, dx);
  parallel_for_ranges(y.size, 4, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) {
      const double value = y.data[i];
      const float square = static_cast<float>(value * value);
      dx.data[i] = static_cast<float>(1 - static_cast<double>(square)) * dy.data[i];
    }
  });
}
EXPORT(tanh_gradient, "tanhGradient")

// Row n of x is row indices_N[n] of the matrix that the mask covers, or row n if no indices are given.
void dropout(In x, Out y, List<double> dropout, List<int32_t> indices_N) {
  const Dropout mask(dropout);
  expect_dropout(x, y, indices_N);
  if (x.size == 0) return;
  // Without indices, pieces whose length is a multiple of the chunks in which the mask is computed.
  const int64_t width = indices_N.size == 0 ? 4096 : x.size / indices_N.size;
  parallel_for_ranges((x.size + width - 1) / width, 4 * width, [&](int64_t first, int64_t end) {
    constexpr int64_t at_once = 1024;
    alignas(64) float kept[at_once];
    for (int64_t row = first; row < end; row++) {
      const int64_t size = std::min(width, x.size - row * width);
      const int64_t element = (indices_N.size == 0 ? row : indices_N[row]) * width;
      for (int64_t from = 0; from < size; from += at_once) {
        const int64_t length = std::min(at_once, size - from);
        const int64_t start = row * width + from;
        mask.fill(element + from, length, kept);
        for_lanes(length, [&](int64_t i, auto count) {
          store_some(y.data + start + i, load_some(x.data + start + i, count) * load_some(kept + i, count), count);
        });
      }
    }
  });
}
EXPORT(dropout, "dropout")

void transpose_matrix(In x_TH, Out y_HT, int64_t rows) {
  const int64_t columns = transpose_columns(x_TH, y_HT, rows);
  if (columns == 0) return;
  // Strips of rows that fill whole cache lines of the result.
  parallel_for_ranges(rows, columns, [&](int64_t first, int64_t end) {
    int64_t row = first;
    for (; row + lanes <= end; row += lanes) {
      int64_t column = 0;
      for (; column + lanes <= columns; column += lanes) {
        Floats square[lanes];
        for (int i = 0; i < lanes; i++) square[i] = load(x_TH.data + (row + i) * columns + column);
        transpose(square);
        for (int i = 0; i < lanes; i++) store(y_HT.data + (column + i) * rows + row, square[i]);
      }
      for (; column < columns; column++)
        for (int i = 0; i < lanes; i++) y_HT.data[column * rows + row + i] = x_TH.data[(row + i) * columns + column];
    }
    for (; row < end; row++)
      for (int64_t column = 0; column < columns; column++)
        y_HT.data[column * rows + row] = x_TH.data[row * columns + column];
  });
}
EXPORT(transpose_matrix, "transpose")

}  // namespace kasosei
