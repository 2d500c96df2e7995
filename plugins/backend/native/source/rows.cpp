// Rows of a table by number, and gradients that are zero but for some rows.
#include <algorithm>
#include <vector>

#include "kernels.h"
#include "threads.h"

namespace native {

void gather_rows(In table, List<int32_t> ids, Out rows) {
  if (ids.size == 0) return expect_size(rows, 0, "rows");
  expect(rows.size % ids.size == 0, "as many rows as ids were expected");
  const int64_t width = rows.size / ids.size;
  if (width == 0) return;
  expect(table.size % width == 0, "the table's rows are of another length");
  expect_below(ids, table.size / width, "ids");
  share_range(ids.size, width, [&](int64_t first, int64_t end) {
    for (int64_t n = first; n < end; n++) std::copy_n(table.data + ids[n] * width, width, rows.data + n * width);
  });
}

void sum_into_rows(In x, List<int32_t> slots, Out rows) {
  if (slots.size == 0) return fill(rows, 0);
  expect(x.size % slots.size == 0, "as many rows as slots were expected");
  const int64_t width = x.size / slots.size;
  if (width == 0) return;
  expect(rows.size % width == 0, "the rows are of another length");
  expect_below(slots, rows.size / width, "slots");
  // Each thread has some of the columns, over all rows.
  share_range(width, 2 * slots.size, [&](int64_t first, int64_t end) {
    for (int64_t slot = 0; slot < rows.size / width; slot++)
      std::fill(rows.data + slot * width + first, rows.data + slot * width + end, 0.0f);
    for (int64_t n = 0; n < slots.size; n++) {
      float* sum = rows.data + slots[n] * width + first;
      const float* from = x.data + n * width + first;
      for_lanes(end - first, [&](int64_t i, auto count) {
        store_some(sum + i, load_some(sum + i, count) + load_some(from + i, count), count);
      });
    }
  });
}

void spread_rows(In rows, List<int32_t> ids, Out table) {
  fill(table, 0);
  if (ids.size == 0) return;
  expect(rows.size % ids.size == 0, "as many rows as ids were expected");
  const int64_t width = rows.size / ids.size;
  if (width == 0) return;
  expect(table.size % width == 0, "the table's rows are of another length");
  expect_below(ids, table.size / width, "ids");
  for (int64_t n = 0; n < ids.size; n++) std::copy_n(rows.data + n * width, width, table.data + ids[n] * width);
}

}  // namespace native
