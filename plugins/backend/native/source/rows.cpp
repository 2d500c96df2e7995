// Rows of a table by index, and gradients that are zero except in some rows.
#include <algorithm>
#include <vector>

#include "binding.h"
#include "kernels.h"
#include "row-shapes.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {

void gather_rows(In table_VH, List<int32_t> ids_N, Out rows_NH) {
  const int64_t width = gathered_width(table_VH, ids_N, rows_NH);
  if (width == 0) return;
  parallel_for_ranges(ids_N.size, width, [&](int64_t first, int64_t end) {
    for (int64_t n = first; n < end; n++)
      std::copy_n(table_VH.data + ids_N[n] * width, width, rows_NH.data + n * width);
  });
}
EXPORT(gather_rows, "gatherRows")

// rows_UH[slots[n]] = Σ x[n], summed in the order of n.
void sum_into_rows(In x_NH, List<int32_t> slots_N, Out rows_UH) {
  const int64_t width = summed_width(x_NH, slots_N, rows_UH);
  if (width == 0) return fill(rows_UH, 0);
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
  const int64_t width = spread_width(rows_UH, ids_U, table_VH);
  fill(table_VH, 0);
  if (width == 0) return;
  for (int64_t n = 0; n < ids_U.size; n++)
    std::copy_n(rows_UH.data + n * width, width, table_VH.data + ids_U[n] * width);
}
EXPORT(spread_rows, "spreadRows")

}  // namespace kasosei
