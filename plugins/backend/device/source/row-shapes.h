// The arguments of kernels over rows of a table, checked.
#pragma once

#include "buffer.h"

namespace kasosei {

// The width of a row; 0 if there is nothing to gather.
inline int64_t gathered_width(In table_VH, const List<int32_t>& ids_N, Out rows_NH) {
  if (ids_N.size == 0) {
    expect_size(rows_NH, 0, "rows");
    return 0;
  }
  expect(rows_NH.size % ids_N.size == 0, "expected a row for each id");
  const int64_t width = rows_NH.size / ids_N.size;
  if (width == 0) return 0;
  expect(table_VH.size % width == 0, "expected rows as long as those of the table");
  expect_below(ids_N, table_VH.size / width, "ids");
  return width;
}

// The width of a row; 0 if there is nothing to sum.
inline int64_t summed_width(In x_NH, const List<int32_t>& slots_N, Out rows_UH) {
  if (slots_N.size == 0) return 0;
  expect(x_NH.size % slots_N.size == 0, "expected a row of x for each slot");
  const int64_t width = x_NH.size / slots_N.size;
  if (width == 0) return 0;
  expect(rows_UH.size % width == 0, "expected rows as long as those of x");
  expect_below(slots_N, rows_UH.size / width, "slots");
  return width;
}

// The width of a row; 0 if there is nothing to spread.
inline int64_t spread_width(In rows_UH, const List<int32_t>& ids_U, Out table_VH) {
  if (ids_U.size == 0) return 0;
  expect(rows_UH.size % ids_U.size == 0, "expected a row for each id");
  const int64_t width = rows_UH.size / ids_U.size;
  if (width == 0) return 0;
  expect(table_VH.size % width == 0, "expected rows as long as those of the table");
  expect_below(ids_U, table_VH.size / width, "ids");
  return width;
}

}  // namespace kasosei
