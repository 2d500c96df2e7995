// Rows of a table by index, and gradients that are zero except in some rows.
#include <algorithm>
#include <vector>

#include "binding.h"
#include "kernels.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {

void gather_rows(In table_VH, List<int32_t> ids_N, Out rows_NH) {
  if (ids_N.size == 0) return expect_size(rows_NH, 0, "rows");
  expect(rows_NH.size % ids_N.size == 0, "expected a row for each id");
  const int64_t width = rows_NH.size / ids_N.size;
  if (width == 0) return;
  expect(table_VH.size % width == 0, "expected rows as long as those of the table");
  expect_below(ids_N, table_VH.size / width, "ids");
  parallel_for_ranges(ids_N.size, width, [&](int64_t first, int64_t end) {
    for (int64_t n = first; n < end; n++)
      std::copy_n(table_VH.data + ids_N[n] * width, width, rows_NH.data + n * width);
  });
}
EXPORT(gather_rows, "gatherRows")

// rows_UH[slots[n]] = Σ x[n], summed in the order of n.
void sum_into_rows(In x_NH, List<int32_t> slots_N, Out rows_UH) {
  if (slots_N.size == 0) return fill(rows_UH, 0);
  expect(x_NH.size % slots_N.size == 0, "expected a row of x for each slot");
  const int64_t width = x_NH.size / slots_N.size;
  if (width == 0) return;
  expect(rows_UH.size % width == 0, "expected rows as long as those of x");
  expect_below(slots_N, rows_UH.size / width, "slots");
  // Each thread takes some of the columns, over all rows.
  parallel_for_ranges(width, 2 * slots_N.size, [&](int64_t first, int64_t end) {
    for (int64_t slot = 0; slot < rows_UH.size / width; slot++)
      std::fill(rows_UH.data + slot * width + first, rows_UH.data + slot * width + end, 0.0f);
    for (int64_t n = 0; n < slots_N.size; n++) {
      float* sum = rows_UH.data + slots_N[n] * width + first;
      const float* from = x_NH.data + n * width + first;
      for_lanes(end - first, [&](int64_t i, auto count) {
        store_some(sum + i, load_some(sum + i, count) + load_some(from + i, count), count);
      });
    }
  });
}
EXPORT(sum_into_rows, "sumIntoRows")

// Fills table_VH with zeros, then writes its rows ids_U, which are distinct.
void spread_rows(In rows_UH, List<int32_t> ids_U, Out table_VH) {
  fill(table_VH, 0);
  if (ids_U.size == 0) return;
  expect(rows_UH.size % ids_U.size == 0, "expected a row for each id");
  const int64_t width = rows_UH.size / ids_U.size;
  if (width == 0) return;
  expect(table_VH.size % width == 0, "expected rows as long as those of the table");
  expect_below(ids_U, table_VH.size / width, "ids");
  for (int64_t n = 0; n < ids_U.size; n++)
    std::copy_n(rows_UH.data + n * width, width, table_VH.data + ids_U[n] * width);
}
EXPORT(spread_rows, "spreadRows")

}  // namespace kasosei
