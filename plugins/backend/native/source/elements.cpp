// Kernels that go over numbers one by one.
#include <algorithm>

#include "dropout.h"
#include "kernels.h"
#include "sums.h"
#include "threads.h"

namespace native {
namespace {

template <typename Operation>
void combine(In a, In b, Out out, Operation operation) {
  expect_size(out, a.size, "out");
  if (a.size == 0) return;
  expect(b.size > 0 && a.size % b.size == 0, "b does not repeat to the size of a");
  const int64_t width = b.size;
  if (width == 1) {
    const Floats right = all(b.data[0]);
    share_range(a.size, 1, [&](int64_t first, int64_t end) {
      for_lanes(end - first, [&](int64_t i, auto count) {
        store_some(out.data + first + i, operation(load_some(a.data + first + i, count), right), count);
      });
    });
  } else if (width == a.size) {
    share_range(a.size, 1, [&](int64_t first, int64_t end) {
      for_lanes(end - first, [&](int64_t i, auto count) {
        const Floats left = load_some(a.data + first + i, count), right = load_some(b.data + first + i, count);
        store_some(out.data + first + i, operation(left, right), count);
      });
    });
  } else {
    share_range(a.size / width, width, [&](int64_t first, int64_t end) {
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
void subtract(In a, In b, Out out) {
  combine(a, b, out, [](Floats x, Floats y) { return x - y; });
}
void multiply_elements(In a, In b, Out out) {
  combine(a, b, out, [](Floats x, Floats y) { return x * y; });
}

void fill(Out out, double value) {
  share_range(out.size, 1, [&](int64_t first, int64_t end) {
    std::fill(out.data + first, out.data + end, static_cast<float>(value));
  });
}

void dropout(In x, Out y, List<double> draw, List<int32_t> rows) {
  const Dropout mask(draw);
  expect_size(y, x.size, "y");
  if (x.size == 0) return;
  expect(rows.size == 0 || x.size % rows.size == 0, "x is not of as many rows as are listed");
  // Without rows, pieces of a length that the mask is made in.
  const int64_t width = rows.size == 0 ? 4096 : x.size / rows.size;
  share_range((x.size + width - 1) / width, 4 * width, [&](int64_t first, int64_t end) {
    constexpr int64_t at_once = 1024;
    alignas(64) float kept[at_once];
    for (int64_t row = first; row < end; row++) {
      const int64_t size = std::min(width, x.size - row * width);
      const int64_t element = (rows.size == 0 ? row : rows[row]) * width;
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

void transpose_matrix(In x, Out y, int64_t rows) {
  expect_size(y, x.size, "y");
  if (x.size == 0) return;
  expect(rows > 0 && x.size % rows == 0, "x is not of so many rows");
  const int64_t columns = x.size / rows;
  // Strips of rows that fall into whole lines of the result.
  share_range(rows, columns, [&](int64_t first, int64_t end) {
    int64_t row = first;
    for (; row + lanes <= end; row += lanes) {
      int64_t column = 0;
      for (; column + lanes <= columns; column += lanes) {
        Floats square[lanes];
        for (int i = 0; i < lanes; i++) square[i] = load(x.data + (row + i) * columns + column);
        transpose(square);
        for (int i = 0; i < lanes; i++) store(y.data + (column + i) * rows + row, square[i]);
      }
      for (; column < columns; column++)
        for (int i = 0; i < lanes; i++) y.data[column * rows + row + i] = x.data[(row + i) * columns + column];
    }
    for (; row < end; row++)
      for (int64_t column = 0; column < columns; column++) y.data[column * rows + row] = x.data[row * columns + column];
  });
}

void sum_rows(In x, Out sum) {
  expect(sum.size > 0 && x.size % sum.size == 0, "x's rows are not as long as their sum");
  sum_columns(x.size / sum.size, sum.size, sum.data, [&](int64_t row, int64_t column, auto count) {
    return load_some(x.data + row * sum.size + column, count);
  });
}

}  // namespace native
